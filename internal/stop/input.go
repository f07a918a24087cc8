package stop

import (
	"context"
	"io"
	"os"
	"syscall"
)

// Reader is a reader, such as of a pipe, whose Read returns the cause of a context's end when the context ends.
// A read from a terminal or a pipe could otherwise wait for ever, and the command with it.
type Reader struct {
	ctx context.Context //nolint:containedctx // io.Reader has no other way to get it
	in  io.Reader
}

// NewReader returns a Reader. Only one goroutine may read it.
func NewReader(ctx context.Context, in io.Reader) *Reader { return &Reader{ctx, in} }

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	type result struct {
		data []byte
		err  error
	}
	read := make(chan result, 1)
	go func() { // what it reads after the end is lost, and nobody wants it
		data := make([]byte, len(p))
		n, err := r.in.Read(data)
		read <- result{data[:n], err}
	}()
	select {
	case done := <-read:
		return copy(p, done.data), done.err
	case <-r.ctx.Done():
		return 0, context.Cause(r.ctx)
	}
}

// Input is the [Reader] of a file, such as standard input.
type Input struct {
	*Reader

	file *os.File
}

// NewInput returns the Input of a file.
func NewInput(ctx context.Context, f *os.File) *Input { return &Input{NewReader(ctx, f), f} }

// SyscallConn implements syscall.Conn, by which one finds out whether the file is a terminal.
func (i *Input) SyscallConn() (syscall.RawConn, error) { return i.file.SyscallConn() }
