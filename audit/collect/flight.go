package collect

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// The alerts that matter (RFC 8446 section 6).
const (
	alertCloseNotify          tls.AlertError = 0
	alertHandshakeFailure     tls.AlertError = 40
	alertIllegalParameter     tls.AlertError = 47
	alertProtocolVersion      tls.AlertError = 70
	alertInsufficientSecurity tls.AlertError = 71
)

const (
	// maxRecord bounds what a record may carry before there are keys (RFC 8446 section 5.1).
	maxRecord = 1 << 14
	// maxWarnings before an answer. Honest servers send one, of the name (RFC 6066 section 3).
	maxWarnings = 4
)

func alertText(alert tls.AlertError) string {
	return fmt.Sprintf("TLS alert %q", strings.TrimPrefix(alert.Error(), "tls: "))
}

// answerError means that the bytes received are no answer to the ClientHello.
type answerError struct{ text string }

func (e answerError) Error() string { return e.text }

// flight reads the messages of a server's answer, which may be spread over records. What can be read
// is bounded by the conn below.
type flight struct {
	from     io.Reader
	pending  []byte
	warnings int
}

// readMessage reads the next handshake message.
func (f *flight) readMessage() (kind uint8, body []byte, err error) {
	for {
		message := cryptobyte.String(f.pending)
		var content cryptobyte.String
		if message.ReadUint8(&kind) && message.ReadUint24LengthPrefixed(&content) {
			f.pending = message
			return kind, content, nil
		}
		if err := f.readRecord(); err != nil {
			return 0, nil, err
		}
	}
}

// readRecord appends the next record that holds part of a message. It skips warnings.
func (f *flight) readRecord() error {
	var header [5]byte
	if _, err := io.ReadFull(f.from, header[:]); err != nil {
		return err
	}
	length := int(header[3])<<8 | int(header[4])
	if header[1] != tlsMajor || length == 0 || length > maxRecord || (header[0] != recordAlert && header[0] != recordHandshake) {
		return answerError{"the answer is not TLS"}
	}
	content := make([]byte, length)
	if _, err := io.ReadFull(f.from, content); err != nil {
		return err
	}
	if header[0] == recordHandshake {
		f.pending = append(f.pending, content...)
		return nil
	}
	const warning, fatal = 1, 2
	if len(content) != 2 || content[0] < warning || content[0] > fatal || len(f.pending) > 0 {
		return answerError{"the record is marked as an alert, but its content is not a TLS alert"}
	}
	if alert := tls.AlertError(content[1]); content[0] == fatal || alert == alertCloseNotify {
		return alert // in place of the answer
	}
	if f.warnings++; f.warnings > maxWarnings {
		return answerError{"the answer has only TLS warnings"}
	}
	return nil
}
