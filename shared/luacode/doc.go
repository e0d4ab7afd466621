// Package luacode compiles the Lua scripts that people bring (health checks and
// resource actions) into what agent/lua runs, and finds their mistakes.
//
// A compiled script is a function that takes the functions which count its memory,
// in the order concat, table, set, closure, charge, varargs (agent/lua gives them),
// and returns the script. It runs nothing: agent/lua does, and the hub and the
// command line ask by shared/customization whether a script compiles.
package luacode
