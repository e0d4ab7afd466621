// Package command is the tree of hawser's commands, one file per noun: parse
// flags, call the hub, print, choose the exit code. It decides nothing about
// applications; the hub does.
package command
