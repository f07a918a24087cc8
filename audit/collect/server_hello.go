package collect

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"github.com/etcdsec/etcdsec/audit"
)

const (
	versionSSL30 = 0x0300

	// maxPrimeBits is somewhat longer than the longest prime that OpenSSL accepts.
	maxPrimeBits = 16 << 10
)

// versionError means that the server answered in a version that was not offered: a server that
// does not know supported_versions answers in its own version.
type versionError struct{ version uint16 }

func (e versionError) Error() string { return "the server answers in " + tls.VersionName(e.version) }

// readChoice reads what a server chose from a ClientHello. In TLS 1.2 it reads on to the
// ServerKeyExchange if the suite has one, because that holds the group; it hands the chain that comes before
// to seen.
func readChoice(from io.Reader, offered clientHello, seen func(chain []*x509.Certificate)) (audit.Choice, error) {
	f := &flight{from: from}
	kind, body, err := f.readMessage()
	if err != nil {
		return audit.Choice{}, err
	}
	if kind != messageServerHello {
		return audit.Choice{}, answerError{"the answer does not begin with a ServerHello"}
	}
	choice, err := parseServerHello(body, offered)
	suite := audit.SuiteOf(choice.Suite)
	if err != nil || offered.version == tls.VersionTLS13 || (!suite.EphemeralECDH() && !suite.EphemeralDH()) {
		return choice, err
	}
	for kind != messageServerKeyExchange {
		if kind, body, err = f.readMessage(); err != nil {
			return audit.Choice{}, err
		}
		if !slices.Contains([]uint8{messageCertificate, messageCertificateStatus, messageServerKeyExchange}, kind) {
			return audit.Choice{}, answerError{"the suite of the ServerHello needs a ServerKeyExchange, but there is none"}
		}
		if kind == messageCertificate {
			seen(parseCertificates(body))
		}
	}
	return choice, parseServerKeyExchange(body, offered, &choice)
}

// parseCertificates reads a Certificate message of TLS 1.2 (RFC 5246 section 7.4.2). It returns nil if any part
// of it cannot be read: no client takes such a chain.
func parseCertificates(body []byte) []*x509.Certificate {
	s := cryptobyte.String(body)
	var list cryptobyte.String
	if !s.ReadUint24LengthPrefixed(&list) || !s.Empty() {
		return nil
	}
	var chain []*x509.Certificate
	for !list.Empty() {
		var der cryptobyte.String
		if !list.ReadUint24LengthPrefixed(&der) {
			return nil
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil
		}
		chain = append(chain, cert)
	}
	return chain
}

// helloRetryRequest returns the random value that marks a ServerHello as a HelloRetryRequest (RFC
// 8446 section 4.1.3).
func helloRetryRequest() []byte {
	return []byte{
		0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
		0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
	}
}

var errServerHello = answerError{"the ServerHello is malformed"}

// parseServerHello reads a ServerHello or HelloRetryRequest. It accepts only an answer to the
// ClientHello: a version, suite, group and compression that were offered.
func parseServerHello(body []byte, offered clientHello) (audit.Choice, error) {
	s := cryptobyte.String(body)
	var choice audit.Choice
	var version uint16
	var random []byte
	var session, extensions cryptobyte.String
	if !s.ReadUint16(&version) || !s.ReadBytes(&random, 32) || !s.ReadUint8LengthPrefixed(&session) || len(session) > 32 ||
		!s.ReadUint16(&choice.Suite) || !s.ReadUint8(&choice.Compression) {
		return audit.Choice{}, errServerHello
	}
	if version > tls.VersionTLS12 || !s.Empty() && (!s.ReadUint16LengthPrefixed(&extensions) || !s.Empty()) {
		return audit.Choice{}, errServerHello
	}
	version, err := parseExtensions(extensions, version, &choice)
	switch {
	case err != nil:
		return audit.Choice{}, err
	case version != offered.version && version >= versionSSL30 && version <= tls.VersionTLS12:
		return audit.Choice{}, versionError{version}
	case version != offered.version:
		return audit.Choice{}, errServerHello
	case !slices.Contains(offered.suites, choice.Suite), !slices.Contains(offered.compressions(), choice.Compression):
		return audit.Choice{}, answerError{"the ServerHello chooses something that was not offered"}
	case version == tls.VersionTLS12:
		choice.Group = 0 // of a key_share, which TLS 1.2 does not have
		return choice, nil
	case !bytes.Equal(random, helloRetryRequest()) || len(session) > 0:
		return audit.Choice{}, answerError{"the server continues without the client's key share"}
	case !slices.Contains(offered.groups, choice.Group):
		return audit.Choice{}, answerError{"the HelloRetryRequest asks for a group that was not offered"}
	}
	choice.SecureRenegotiation = false // TLS 1.3 does not have it
	return choice, nil
}

// parseExtensions reads the extensions that matter, and returns the chosen version.
func parseExtensions(extensions cryptobyte.String, version uint16, choice *audit.Choice) (uint16, error) {
	var seen []uint16
	for !extensions.Empty() {
		var number uint16
		var body cryptobyte.String
		if !extensions.ReadUint16(&number) || !extensions.ReadUint16LengthPrefixed(&body) || slices.Contains(seen, number) {
			return 0, errServerHello
		}
		seen = append(seen, number)
		valid := true
		switch number {
		case extensionRenegotiationInfo:
			// Anything but an empty value is of a handshake that this is not (RFC 5746 section 3.4).
			valid = bytes.Equal(body, []byte{0})
			choice.SecureRenegotiation = valid
		case extensionSupportedVersions:
			valid = body.ReadUint16(&version) && body.Empty() && version > tls.VersionTLS12
		case extensionKeyShare:
			valid = body.ReadUint16(&choice.Group) && body.Empty() // of a HelloRetryRequest
		}
		if !valid {
			return 0, errServerHello
		}
	}
	return version, nil
}

var errKeyExchange = answerError{"the ServerKeyExchange is malformed"}

// parseServerKeyExchange reads the group, and ignores the key and the signature (RFC 5246 section
// 7.4.3, RFC 8422 section 5.4).
func parseServerKeyExchange(body []byte, offered clientHello, choice *audit.Choice) error {
	s := cryptobyte.String(body)
	if audit.SuiteOf(choice.Suite).EphemeralDH() {
		var prime, generator, public cryptobyte.String
		if !s.ReadUint16LengthPrefixed(&prime) || !s.ReadUint16LengthPrefixed(&generator) || !s.ReadUint16LengthPrefixed(&public) ||
			len(generator) == 0 || len(public) == 0 {
			return errKeyExchange
		}
		bits := new(big.Int).SetBytes(prime).BitLen()
		if bits == 0 || bits > maxPrimeBits {
			return errKeyExchange
		}
		choice.PrimeBits = bits
		return nil
	}
	const namedCurve = 3
	var curveType uint8
	var public cryptobyte.String
	if !s.ReadUint8(&curveType) || curveType != namedCurve || !s.ReadUint16(&choice.Group) ||
		!s.ReadUint8LengthPrefixed(&public) || len(public) == 0 {
		return errKeyExchange
	}
	if !slices.Contains(offered.groups, choice.Group) {
		return answerError{"the ServerKeyExchange has a group that was not offered"}
	}
	return nil
}
