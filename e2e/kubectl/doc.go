// Package kubectl shows with the real kubectl that it works through the hub with a
// cluster that only its agent reaches, what it may not do there, and that what is
// open ends with the permission.
package kubectl
