// Package webhook takes push events from Git servers and turns them into "look
// at this repository now". A push only makes a look come sooner: nothing in its
// payload is believed or kept, so a forged one costs one ls-remote.
//
// It reads GitHub's push format, as JSON or as a form, and matches the addresses
// in it with the repositories that are under watch, in all their spellings. It
// does not look itself: hub/app gives it the poller's Poke.
package webhook
