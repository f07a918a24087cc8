package report

import (
	"crypto/sha1" //nolint:gosec // RFC 9562 5.5 wants it; nothing is secured by it
	"fmt"
	"strings"
)

// uuidOf returns a UUID of version 5 (RFC 9562 5.5). The same parts give the same UUID in every
// report, as OSCAL requires for the same thing.
func uuidOf(parts ...string) string {
	// A namespace of our own, made once: etcdsec's.
	namespace := [16]byte{0x6d, 0x0c, 0x3b, 0x52, 0x0f, 0x1e, 0x4c, 0x57, 0x9a, 0x3d, 0x51, 0x8b, 0x2e, 0x7a, 0x90, 0x14}
	h := sha1.New() //nolint:gosec // as above
	h.Write(namespace[:])
	h.Write([]byte(strings.Join(parts, "\x00")))
	sum := h.Sum(nil)[:16]
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
