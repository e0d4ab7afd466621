// Package delivery carries a change from Git, or from a person, to the desired
// state of clusters: which applications are affected, render them, ask the
// project, store the bundle and the next desired state, wake the sessions.
//
// It is level-triggered: what is noted is only that an application needs a look;
// a look reads the present facts and may run any number of times. A failure to
// resolve, fetch, render or permit is recorded beside the last good state, which
// stays. It does not speak Git (source), does not render (render) and does not
// talk to agents (gateway); app joins them through the interfaces declared here.
package delivery
