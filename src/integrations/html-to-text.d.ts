/** The part of html-to-text 10 that is used; the package ships no types. */
declare module 'html-to-text' {
  interface Selector {
    readonly selector: string;
    readonly format?: string;
    readonly options?: Readonly<Record<string, unknown>>;
  }
  interface Options {
    readonly wordwrap?: number | false;
    readonly selectors?: readonly Selector[];
    readonly limits?: { readonly maxInputLength?: number; readonly maxDepth?: number };
  }
  /** Compiles the options once; the result converts any number of texts. */
  export function compile(options: Options): (html: string) => string;
}
