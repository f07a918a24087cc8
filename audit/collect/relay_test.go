package collect_test

import (
	"bytes"
	"io"
	"net"
	"time"
)

// relaySlowly passes what comes from the server on after a pause.
func relaySlowly(c net.Conn, address string, pause time.Duration) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, c)
		_ = server.(*net.TCPConn).CloseWrite()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		timer := time.NewTimer(pause)
		<-timer.C
		if _, writeErr := io.Copy(c, bytes.NewReader(buffer[:n])); err != nil || writeErr != nil {
			return
		}
	}
}
