// Which handler takes a request: the first route whose method and path fit. `:name` in a path stands for one segment.

import type { IncomingMessage } from 'node:http';
import { failure, type Answer, type Handler } from './exchange.ts';

export type Method = 'GET' | 'POST' | 'DELETE';
export type Route = [method: Method, path: string, handler: Handler];

/** The answer of the handler, or 404, or 405 where only the method is wrong. HEAD is taken as GET. */
export async function dispatch(
  routes: readonly Route[],
  request: IncomingMessage,
  signal: AbortSignal,
): Promise<Answer> {
  const url = URL.parse(request.url ?? '', 'http://localhost');
  if (url === null) return failure(400, 'USAGE', 'the address of the request cannot be read');
  const allowed: string[] = [];
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  for (const [routeMethod, path, handler] of routes) {
    const params = match(path, url.pathname);
    if (params === undefined) continue;
    if (routeMethod === method) return handler({ request, params, query: url.searchParams, signal });
    allowed.push(routeMethod);
  }
  if (allowed.length === 0) return failure(404, 'NOT_FOUND', `there is nothing at ${url.pathname}`);
  return failure(405, 'METHOD_NOT_ALLOWED', `use ${allowed.join(' or ')}`, { allow: allowed.join(', ') });
}

/** What `:name` stands for in `path`, or undefined when the path is another. */
function match(pattern: string, path: string): Map<string, string> | undefined {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const params = new Map<string, string>();
  for (const [index, part] of wanted.entries()) {
    const text = given[index] ?? '';
    if (!part.startsWith(':')) {
      if (part !== text) return undefined;
    } else {
      const decoded = decode(text);
      if (decoded === undefined) return undefined;
      params.set(part.slice(1), decoded);
    }
  }
  return params;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not a percent encoding: no path of ours is spelled like that.
    return undefined;
  }
}
