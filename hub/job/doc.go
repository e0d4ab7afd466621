// Package job runs commands to many applications. A job is stored before it is
// answered; its items are given one by one, some side by side, as the commands
// to one application that they are, with the same checks and an idempotency key
// of their own. A hub that was killed goes on where it was: an item whose command
// was given and not recorded is given again, and taken once.
//
// Jobs take turns, and so do the tokens that submitted them.
//
// It decides nothing: hub/fleet says whose turn it is and what becomes of an item, hub/api carries a
// command out, hub/store keeps it all. Only hub/app imports it.
package job
