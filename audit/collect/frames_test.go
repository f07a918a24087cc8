package collect

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/etcdsec/etcdsec/audit"
)

// framesOf is the whole answer of a server that gives a gRPC status and perhaps a message.
func framesOf(tb testing.TB, status string, message []byte) []byte {
	tb.Helper()
	var out, headers bytes.Buffer
	framer := http2.NewFramer(&out, nil)
	encoder := hpack.NewEncoder(&headers)
	field := func(name, value string) {
		if err := encoder.WriteField(hpack.HeaderField{Name: name, Value: value}); err != nil {
			tb.Fatal(err)
		}
	}
	must := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	must(framer.WriteSettings())
	must(framer.WriteSettingsAck())
	field(":status", "200")
	field("content-type", "application/grpc")
	must(framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: bytes.Clone(headers.Bytes()), EndHeaders: true}))
	if message != nil {
		must(framer.WriteData(1, false, append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)))
	}
	headers.Reset()
	field("grpc-status", status)
	must(framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers.Bytes(), EndHeaders: true, EndStream: true}))
	return out.Bytes()
}

// awaitRequest reads what a client says first, to the end of the headers of its request.
func awaitRequest(c net.Conn) {
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(io.Discard, c)
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		if _, ok := frame.(*http2.HeadersFrame); ok {
			return
		}
	}
}

// FuzzFrames answers a gRPC call with any bytes. Whatever they are, the call ends in time, and
// only what has the frames of an answer is one.
func FuzzFrames(f *testing.F) {
	ok := framesOf(f, "0", []byte{0x0a, 0x04, 0x08, 0x01, 0x10, 0x02}) // a header with a cluster and a member
	f.Add(ok)
	f.Add(framesOf(f, "16", nil))
	f.Add(framesOf(f, "x", []byte{}))
	f.Add(ok[:len(ok)-3])
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Add([]byte{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	defer listener.Close()
	answers := make(chan []byte, 1)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			awaitRequest(c) // an answer before its question is refused, and rightly
			_, _ = c.Write(<-answers)
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	p := newProber(listener.Addr().String())
	f.Fuzz(func(t *testing.T, data []byte) {
		answers <- data
		began := time.Now()
		result, message := p.call(t.Context(), audit.InPlaintext, audit.StatusRPC)
		if took := time.Since(began); took > 2*p.config.Timeout {
			t.Errorf("took %s", took)
		}
		if (result.State == audit.Answered) != (result.Reason == "") || len(message) > maxMessage {
			t.Errorf("got %+v", result)
		}
		if len(data) < 9 && result.State == audit.Answered { // shorter than any frame
			t.Errorf("answered by %q", data)
		}
		if bytes.Equal(data, ok) && (result.State != audit.Answered || result.Code != 0 || result.NotGRPC || len(message) == 0) {
			t.Errorf("an answer in order gives %+v", result)
		}
	})
}
