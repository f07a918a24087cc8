package stop

import (
	"context"
	"os"
	"syscall"
)

// Input is a file, such as standard input, whose Read returns an error when a context ends. A read
// from a terminal or a pipe could otherwise wait for ever, and the command with it.
type Input struct {
	ctx  context.Context //nolint:containedctx // io.Reader has no other way to get it
	file *os.File
}

// NewInput returns the Input of a file. Only one goroutine may read it.
func NewInput(ctx context.Context, f *os.File) *Input { return &Input{ctx, f} }

// Read implements io.Reader.
func (i *Input) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, context.Cause(i.ctx)
	}
	type result struct {
		data []byte
		err  error
	}
	read := make(chan result, 1)
	go func() { // what it reads after the end is lost, and nobody wants it
		data := make([]byte, len(p))
		n, err := i.file.Read(data)
		read <- result{data[:n], err}
	}()
	select {
	case r := <-read:
		return copy(p, r.data), r.err
	case <-i.ctx.Done():
		return 0, context.Cause(i.ctx)
	}
}

// SyscallConn implements syscall.Conn, by which one finds out whether the file is a terminal.
func (i *Input) SyscallConn() (syscall.RawConn, error) { return i.file.SyscallConn() }
