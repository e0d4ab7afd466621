// Package console has the console, the hub's pages for browsers: it embeds what
// "make build" made of the sources beside it, and serves it. In a program that was
// built without them, one page says how to build them.
//
// It holds no data and asks for no login: what the pages show they ask the API for,
// as any other client does. hub/app gives it to hub/api, which asks it about the
// paths that are not its own.
package console
