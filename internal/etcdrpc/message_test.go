package etcdrpc

import (
	"bytes"
	"io"
	"testing"
)

func FuzzReadMessage(f *testing.F) {
	for _, seed := range [][]byte{encodeFrame(nil), encodeFrame([]byte("abc")), {1, 0, 0, 0, 0}, {0, 0xff, 0xff, 0xff, 0xff}, {0}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		message, err := ReadMessage(bytes.NewReader(body), 1<<10)
		if len(message) > 1<<10 {
			t.Errorf("%d bytes are read", len(message))
		}
		if err == nil && !bytes.Equal(encodeFrame(message), body) {
			t.Errorf("%x is read as %x", body, message)
		}
	})
}

func TestReadMessageIsBounded(t *testing.T) {
	if _, err := ReadMessage(io.LimitReader(endless{}, 1<<30), 1<<10); err == nil {
		t.Error("an endless message is accepted")
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }
