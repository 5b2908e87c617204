/** Whether something listens somewhere. */
import { connect } from 'node:net';

const answerWithinMs = 2_000;

/** True when a TCP connection to `host:port` can be made. Never rejects. */
export function answersAt(address: string): Promise<boolean> {
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? [];
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port), timeout: answerWithinMs });
    const done = (answers: boolean) => (): void => {
      socket.destroy();
      resolve(answers);
    };
    socket.once('connect', done(true)).once('error', done(false)).once('timeout', done(false));
  });
}
