// Package failpoint names places in the programs at which a test can end the
// process, make it fail or hold it, so that what is left behind at exactly that
// place can be looked at.
//
// A call of [Hit] or [Error] is an empty function in an ordinary build; the
// compiler inlines it to nothing. In a build with the tag "failpoints" the
// environment decides. HAWSER_FAILPOINTS is a list of instructions, separated by
// semicolons:
//
//	NAME=kill@3         the third time that the point is hit, SIGKILL to oneself
//	NAME=kill           the first time
//	NAME=error          Error returns an error, each time; with @N only the Nth
//	NAME=pause:FILE     make FILE and hold until somebody has removed it; with
//	                    @N before the colon the Nth time, otherwise the first
//	trace               write a line for each hit to standard error
//
// An instruction that names no point, or cannot be read, ends the process at its
// start with status 2, so that a test never passes because of a slip of the pen.
//
// It is not for switching features, and holds no logic of the product. The names
// are all in names.go; a test compares them with the calls in the source.
package failpoint
