/** Debian's Chromium without a window, spoken to over its DevTools protocol: opens pages, reads what they show, takes pictures. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Page {
  goTo(url: string): Promise<void>;
  /** What a person could read: the text of the page and its frames as they are rendered. */
  text(): Promise<string>;
  /** Waits until the page shows all of these texts; the error says what it shows instead. */
  untilShows(texts: readonly string[], withinMs?: number): Promise<string>;
  /** Clicks the first element with exactly this text. */
  click(text: string): Promise<void>;
  /** PNG of what is in view. */
  screenshot(): Promise<Buffer>;
}

export interface Browser {
  open(size: { readonly width: number; readonly height: number }): Promise<Page>;
  close(): Promise<void>;
}

/** Path of an installed Chromium or Chrome, or undefined. `apt-get install chromium` brings one. */
export function findChromium(): string | undefined {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export async function startBrowser(program: string): Promise<Browser> {
  const profileDir = mkdtempSync(join(tmpdir(), 'defender-sync-browser-'));
  const child = spawn(
    program,
    [
      '--headless=new',
      '--remote-debugging-port=0',
      `--user-data-dir=${profileDir}`,
      // The sandbox needs rights that containers and root do not have; only pages of our own servers are opened.
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      // The Web UI shows markdown in sandboxed frames; in processes of their own they would be pages of their own.
      '--disable-features=IsolateSandboxedIframes',
      '--disable-site-isolation-trials',
      '--hide-scrollbars',
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const protocol = await connect(await debuggerUrl(child));
  return {
    open: async ({ width, height }) => {
      const { targetId } = (await protocol.call('Target.createTarget', { url: 'about:blank' })) as { targetId: string };
      const { sessionId } = (await protocol.call('Target.attachToTarget', { targetId, flatten: true })) as { sessionId: string };
      const call: Call = (method, params) => protocol.call(method, params, sessionId);
      await call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
      return createPage(call);
    },
    close: async () => {
      const ended = once(child, 'exit');
      protocol.close();
      child.kill('SIGTERM');
      await ended;
      rmSync(profileDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    },
  };
}

function debuggerUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const url = /DevTools listening on (ws:\S+)/.exec(said)?.[1];
      if (url !== undefined) resolve(url);
    });
    child.once('error', reject).once('exit', () => reject(new Error(`Chromium ended at once:\n${said}`)));
  });
}

type Call = (method: string, params?: object) => Promise<unknown>;

interface Protocol {
  call(method: string, params?: object, sessionId?: string): Promise<unknown>;
  close(): void;
}

interface Answer {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** Commands and their answers, matched by number. */
async function connect(url: string): Promise<Protocol> {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true });
    socket.addEventListener('error', () => reject(new Error(`Chromium does not answer at ${url}.`)), { once: true });
  });
  const waiting = new Map<number, (answer: Answer) => void>();
  let lastId = 0;
  socket.addEventListener('message', ({ data }) => {
    const answer = JSON.parse(String(data)) as Answer;
    if (answer.id === undefined) return;
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });
  return {
    call: (method, params = {}, sessionId) =>
      new Promise((resolve, reject) => {
        lastId += 1;
        waiting.set(lastId, ({ result, error }) => {
          if (error === undefined) resolve(result);
          else reject(new Error(`${method}: ${error.message}`));
        });
        socket.send(JSON.stringify({ id: lastId, method, params, ...(sessionId === undefined ? {} : { sessionId }) }));
      }),
    close: () => socket.close(),
  };
}

interface FrameTree {
  readonly frame: { readonly id: string };
  readonly childFrames?: readonly FrameTree[];
}

function framesOf(tree: FrameTree): string[] {
  return [tree.frame.id, ...(tree.childFrames ?? []).flatMap(framesOf)];
}

async function textOfFrame(call: Call, frameId: string): Promise<string> {
  try {
    const { executionContextId } = (await call('Page.createIsolatedWorld', { frameId })) as { executionContextId: number };
    const expression = 'document.body?.innerText ?? ""';
    const answer = (await call('Runtime.evaluate', { expression, contextId: executionContextId, returnByValue: true })) as {
      result: { value?: string };
    };
    return answer.result.value ?? '';
  } catch {
    // The frame was just replaced by its next content; the caller looks again.
    return '';
  }
}

function createPage(call: Call): Page {
  const evaluate = async (expression: string): Promise<unknown> => {
    const answer = (await call('Runtime.evaluate', { expression, returnByValue: true })) as { result: { value?: unknown } };
    return answer.result.value;
  };
  const text = async (): Promise<string> => {
    const { frameTree } = (await call('Page.getFrameTree')) as { frameTree: FrameTree };
    const texts = await Promise.all(framesOf(frameTree).map((frameId) => textOfFrame(call, frameId)));
    return texts.join('\n');
  };
  return {
    goTo: async (url) => {
      await call('Page.navigate', { url });
    },
    text,
    untilShows: async (texts, withinMs = 30_000) => {
      const deadline = performance.now() + withinMs;
      for (;;) {
        const shown = await text();
        const missing = texts.filter((one) => !shown.includes(one));
        if (missing.length === 0) return shown;
        if (performance.now() > deadline)
          throw new Error(`The page does not show ${missing.map((one) => `"${one}"`).join(', ')}, but:\n${shown}`);
        await sleep(200);
      }
    },
    click: async (label) => {
      const clicked = await evaluate(
        `(() => { const found = [...document.querySelectorAll('a, button, [role=tab], summary')].find((one) => one.innerText.trim() === ${JSON.stringify(label)}); found?.click(); return found !== undefined; })()`,
      );
      if (clicked !== true) throw new Error(`The page has nothing to click that is called "${label}".`);
    },
    screenshot: async () => {
      const { data } = (await call('Page.captureScreenshot', { format: 'png' })) as { data: string };
      return Buffer.from(data, 'base64');
    },
  };
}
