// Package link is the agent's end of the line to the hub: it enrols the
// cluster once, keeps the certificate renewed, dials out (directly or through
// an HTTP proxy), holds the session, and comes back when it is cut.
//
// It trusts only the hub CA that was pinned at enrolment, and checks the fences
// of every session: the incarnation's signature, an epoch above all that were
// ever accepted, and that epoch on every message. It keeps no desired state and
// decides nothing about objects; that is the Handler's, which agent/app passes
// in. The other end is hub/gateway.
package link
