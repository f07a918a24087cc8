package collect

import (
	"crypto/rand"
	"crypto/tls"
	"net"

	"golang.org/x/crypto/cryptobyte"

	"github.com/etcdsec/etcdsec/audit"
)

// The types of records and messages, and the numbers of extensions, that are written and read
// here (RFC 8446 sections 4, 4.2 and 5.1, RFC 5246, RFC 5746).
const (
	recordAlert     = 21
	recordHandshake = 22

	messageClientHello       = 1
	messageServerHello       = 2
	messageCertificate       = 11
	messageServerKeyExchange = 12
	messageCertificateStatus = 22

	extensionServerName          = 0
	extensionSupportedGroups     = 10
	extensionPointFormats        = 11
	extensionSignatureAlgorithms = 13
	extensionSupportedVersions   = 43
	extensionKeyShare            = 51
	extensionRenegotiationInfo   = 0xff01
)

const (
	compressionNone    = 0
	compressionDeflate = 1 // RFC 3749
)

// clientHello lists what one ClientHello offers. crypto/tls cannot send one: it offers only what
// it could continue with.
type clientHello struct {
	version    uint16 // TLS 1.2 or 1.3, and no other
	serverName string // a host; an IP address is not sent
	suites     []uint16
	groups     []uint16
}

// record returns the ClientHello as one TLS record.
func (h clientHello) record() ([]byte, error) {
	var random [32]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddUint8(recordHandshake)
	b.AddUint16(tls.VersionTLS10) // as every client does, for servers that look at it
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint8(messageClientHello)
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint16(tls.VersionTLS12)
			b.AddBytes(random[:])
			b.AddUint8LengthPrefixed(func(*cryptobyte.Builder) {}) // no session
			addNumbers(b, h.suites)
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.compressions()) })
			b.AddUint16LengthPrefixed(h.addExtensions)
		})
	})
	return b.Bytes()
}

// compressions returns the compression methods to offer. In TLS 1.2 they include deflate, to see
// whether the server accepts it; TLS 1.3 forbids it.
func (h clientHello) compressions() []uint8 {
	if h.version == tls.VersionTLS12 {
		return []uint8{compressionDeflate, compressionNone}
	}
	return []uint8{compressionNone}
}

func (h clientHello) addExtensions(b *cryptobyte.Builder) {
	if h.serverName != "" && net.ParseIP(h.serverName) == nil {
		addExtension(b, extensionServerName, func(b *cryptobyte.Builder) {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
				b.AddUint8(0) // host_name
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(h.serverName)) })
			})
		})
	}
	if len(h.groups) > 0 {
		addExtension(b, extensionSupportedGroups, func(b *cryptobyte.Builder) { addNumbers(b, h.groups) })
	}
	addExtension(b, extensionSignatureAlgorithms, func(b *cryptobyte.Builder) { addNumbers(b, signatureAlgorithms()) })
	if h.version == tls.VersionTLS12 {
		addExtension(b, extensionPointFormats, func(b *cryptobyte.Builder) { b.AddBytes([]byte{1, 0}) }) // uncompressed
		addExtension(b, extensionRenegotiationInfo, func(b *cryptobyte.Builder) { b.AddUint8(0) })       // the first handshake
		return
	}
	addExtension(b, extensionSupportedVersions, func(b *cryptobyte.Builder) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint16(h.version) })
	})
	// No share at all asks the server to name the group it wants, in a HelloRetryRequest
	// (RFC 8446 section 4.2.8). So no key has to be made here, nor there.
	addExtension(b, extensionKeyShare, func(b *cryptobyte.Builder) { b.AddUint16(0) })
}

func addExtension(b *cryptobyte.Builder, number uint16, body func(*cryptobyte.Builder)) {
	b.AddUint16(number)
	b.AddUint16LengthPrefixed(body)
}

func addNumbers(b *cryptobyte.Builder, numbers []uint16) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, n := range numbers {
			b.AddUint16(n)
		}
	})
}

// signatureAlgorithms returns every algorithm that a server's key may need, including SHA-1: this
// question is not about the signature.
func signatureAlgorithms() []uint16 {
	return []uint16{
		uint16(tls.ECDSAWithP256AndSHA256), uint16(tls.ECDSAWithP384AndSHA384), uint16(tls.ECDSAWithP521AndSHA512),
		uint16(tls.Ed25519), 0x0808, // Ed448
		uint16(tls.PSSWithSHA256), uint16(tls.PSSWithSHA384), uint16(tls.PSSWithSHA512),
		0x0809, 0x080a, 0x080b, // RSASSA-PSS with an RSASSA-PSS key
		uint16(tls.PKCS1WithSHA256), uint16(tls.PKCS1WithSHA384), uint16(tls.PKCS1WithSHA512),
		uint16(tls.ECDSAWithSHA1), uint16(tls.PKCS1WithSHA1),
	}
}

// suitesOf returns the wanted suites of the version, the worst first.
func suitesOf(version uint16, wanted func(audit.CipherSuite) bool) []uint16 {
	var ids []uint16
	for _, s := range audit.CipherSuites() {
		if s.TLS13() == (version == tls.VersionTLS13) && wanted(s) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func groupsOf(wanted func(audit.Group) bool) []uint16 {
	var ids []uint16
	for _, g := range audit.Groups() {
		if wanted(g) {
			ids = append(ids, g.ID)
		}
	}
	return ids
}

// offerOf returns the first ClientHello of a question.
func offerOf(version uint16, offer audit.Offer) clientHello {
	anySuite := func(audit.CipherSuite) bool { return true }
	weakSuite := func(s audit.CipherSuite) bool { return s.Weakness() != "" }
	strongSuite := func(s audit.CipherSuite) bool { return s.Weakness() == "" }
	ephemeral := func(s audit.CipherSuite) bool { return s.EphemeralECDH() || s.EphemeralDH() }
	weakGroup := func(g audit.Group) bool { return g.Weakness != "" }
	postQuantum := func(g audit.Group) bool { return g.PostQuantum }
	// A server whose key is on a curve may want that curve among the groups (RFC 8422
	// section 5.3), so the weak ones are put before the strong here, and alone in WeakGroups.
	anyGroup := func(g audit.Group) bool { return version == tls.VersionTLS13 || !g.PostQuantum }
	switch offer {
	case audit.WeakSuites:
		return clientHello{version: version, suites: suitesOf(version, weakSuite), groups: groupsOf(anyGroup)}
	case audit.WeakGroups:
		if version == tls.VersionTLS12 {
			return clientHello{version: version, suites: suitesOf(version, ephemeral), groups: groupsOf(weakGroup)}
		}
		return clientHello{version: version, suites: suitesOf(version, anySuite), groups: groupsOf(weakGroup)}
	case audit.PostQuantumGroups:
		return clientHello{version: version, suites: suitesOf(version, strongSuite), groups: groupsOf(postQuantum)}
	case audit.StrongSuites:
	}
	return clientHello{version: version, suites: suitesOf(version, strongSuite), groups: groupsOf(anyGroup)}
}
