//go:build !failpoints

package rbac

// failpoint is where the crash tests kill the process. It is nothing in the product.
func failpoint() {}
