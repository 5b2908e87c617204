/** Text as ServiceNow should show it: no markup, no control characters (mapping.md, first paragraph; azure.md §1.3). */
import { compile } from 'html-to-text';

const convert = compile({
  wordwrap: false,
  // Nesting beyond this is not prose; the converter replaces it with an ellipsis instead of overflowing the stack.
  limits: { maxInputLength: 1_048_576, maxDepth: 64 },
  selectors: [
    { selector: 'a', options: { hideLinkHrefIfSameAsText: true, linkBrackets: ['(', ')'] } },
    { selector: 'img', format: 'skip' },
    ...['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map((selector) => ({ selector, options: { uppercase: false } })),
  ],
});

const knownTags = '(?:a|b|br|p|ul|ol|li|div|span|strong|em|i|u|s|h[1-6]|table|thead|tbody|tr|td|th|code|pre|img|hr|font|sub|sup)';
const markup = new RegExp(`</?${knownTags}(?:\\s[^<>]*)?/?>`, 'i');
const strangeTag = new RegExp(`<(?!/?${knownTags}(?:\\s[^<>]*)?/?>)`, 'gi');

/**
 * HTML to plain text. Text without markup passes unchanged (but cleaned): recommendations quote placeholders like
 * `<resource name>`, which are text. Entities that hide markup (`&lt;br&gt;`, azure.md §1.3) are resolved once.
 */
export function textOfHtml(html: string): string {
  const decoded = markup.test(html) || !/&lt;|&amp;|&#/i.test(html) ? html : html.replaceAll(/&lt;/gi, '<').replaceAll(/&gt;/gi, '>');
  if (!markup.test(decoded)) return clean(decoded);
  return clean(convert(decoded.replaceAll(strangeTag, '&lt;')));
}

/** Most texts are clean already, and there are millions of them. */
const unclean = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]|[^\S\n]\n|\n{3}|^\s|\s$/;

/** Removes control characters except tab and line feed, evens out line ends, white space at line ends and more than one empty line. */
export function clean(text: string): string {
  if (!unclean.test(text)) return text;
  return text
    .replaceAll(/\r\n?|[\u2028\u2029]/g, '\n')
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g, '')
    .replaceAll(/[^\S\n]+\n/g, '\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trim()
    .toWellFormed();
}

/** Cleaned text in one line: names, titles. */
export function cleanLine(text: string): string {
  return clean(text).replaceAll(/\s*\n\s*/g, ' ');
}

/** Cuts to at most `length` UTF-16 code units, the last of them `…`, never through a surrogate pair. */
export function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  return `${text.slice(0, length - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** Joins the parts that are there, one paragraph each. */
export function paragraphs(...parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join('\n\n');
}

/** `label: a, b`, or undefined when there is nothing to list. */
export function labelled(label: string, value: string | readonly string[] | undefined): string | undefined {
  const text = typeof value === 'string' ? value : (value ?? []).join(', ');
  return text === '' ? undefined : `${label}: ${text}`;
}
