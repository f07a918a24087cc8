//go:build !failpoints

package durable

import "os"

// failpoint is where the crash tests kill the process. It is nothing in the product.
func failpoint() {}

// write is all of the data at once.
func write(f *os.File, data []byte) error {
	_, err := f.Write(data)
	return err
}
