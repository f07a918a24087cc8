//go:build !failpoints

// Package failpoint marks the places at which the crash tests kill the process: before each
// change of the disk (internal/durable), and around each change of etcd (policies/rbac). In the
// product it does nothing and costs nothing.
package failpoint

// Here marks a place. Only a build with the tag failpoints dies at it.
func Here() {}

// Enabled reports whether this is a build with the tag failpoints. It is a constant, so that what
// depends on it is not in the product.
const Enabled = false
