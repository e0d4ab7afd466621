// Package ca is the hub's own certificate authority: it signs the hub's server
// certificates, one certificate per enrolled agent, and the hub's incarnation.
// Agents trust it and nothing else.
//
// It keeps its key through an injected store that seals it, speaks to no
// network, and knows nothing of enrolment tokens or revocation; hub/gateway
// asks it, and hub/app makes it.
package ca
