package collect

import (
	"context"
	"fmt"
	"net"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxSocketPath limits the path in the address of a Unix socket, in bytes (unix(7)).
const maxSocketPath = 107

// dial opens a connection to the endpoint.
func (e Endpoint) dial(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	if e.Socket == "" {
		return dialer.DialContext(ctx, "tcp", e.Address)
	}
	if len(e.SocketPath) <= maxSocketPath {
		return dialer.DialContext(ctx, "unix", e.SocketPath)
	}
	dir, err := unix.Open(filepath.Dir(e.SocketPath), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: err}
	}
	defer func() { _ = unix.Close(dir) }() // it was only passed through
	return dialer.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir, filepath.Base(e.SocketPath)))
}
