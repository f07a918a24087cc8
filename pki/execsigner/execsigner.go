// Package execsigner signs with a key that this process never has. A plugin has it, for example in an
// HSM, a KMS, an agent or a file. A plugin is any program that the operator names.
//
// # The plugin protocol, version 1
//
// The plugin is started once for every operation, with the arguments that the operator gave
// and none of ours. It reads one request from standard input, which then ends, writes one
// response to standard output, and exits with status 0. Request and response are each one
// JSON object (RFC 8259) in UTF-8; a request is one line, a response may have white space
// around it and nothing else. Bytes are in standard base64 with padding (RFC 4648, section
// 4), without line breaks. The names of fields are case-sensitive.
//
// The operation "public-key" asks for the public key of a key, which the operator named:
//
//	{"version":1,"op":"public-key","key":"client-root"}
//	{"version":1,"public_key":"MFkwEwYH…"}
//
// The response is a SubjectPublicKeyInfo in DER (RFC 5280, 4.1.2.7; what `openssl pkey
// -pubout -outform DER` prints): ECDSA on P-256, P-384 or P-521, RSA of 2048 to 8192 bits with
// the exponent 65537, or Ed25519. Its private half must not be one that others can compute.
//
// The operation "sign" asks for a signature:
//
//	{"version":1,"op":"sign","key":"client-root","hash":"SHA-256","digest":"LCa0a2j/xo/5…"}
//	{"version":1,"op":"sign","key":"client-root","hash":"SHA-256","digest":"LCa0a2j/xo/5…","padding":"pkcs1v15"}
//	{"version":1,"op":"sign","key":"client-root","message":"MIIBCgKC…"}
//	{"version":1,"signature":"MEUCIQDx…"}
//
// What the request has depends on the key:
//
//   - ECDSA: "digest" is the hash of what is signed, "hash" its name: SHA-256, SHA-384 or
//     SHA-512. The signature is an ECDSA-Sig-Value in DER (RFC 3279, 2.2.3). PKCS #11 and some
//     KMS return the concatenated numbers r and s instead, which are refused.
//   - RSA: the same, and "padding" is "pkcs1v15" (RSASSA-PKCS1-v1_5, for which the plugin
//     puts the DigestInfo of that hash in front of the digest) or "pss" (RSASSA-PSS with
//     that hash, MGF1 with that hash and a salt as long as the digest).
//   - Ed25519: "message" is what is signed, of at most 1 MiB, since Ed25519 hashes by itself.
//
// A plugin that cannot do it returns an error, with any exit status:
//
//	{"version":1,"error":"no key of that name in slot 0"}
//
// If something fails, the operator sees that text and the first 4 KiB of standard error. So neither
// may contain a secret, such as a PIN. A plugin should refuse an unknown
// version or operation and ignore fields that it does not know. A response is taken only
// when it is of version 1 and has exactly the fields above; it may have 64 KiB.
//
// The plugin runs in a session of its own, so it has no terminal to ask for a PIN on and no
// Ctrl-C reaches it; in the working directory of etcdsec; with the environment variables
// PATH, HOME and those that the operator named. It has 60 seconds, or what the operator set.
// At that time, or when etcdsec ends, however that ends, it is ended with all that it started:
// with SIGTERM, and half a second later with SIGKILL. What it leaves behind when it exits is
// ended too. It may run several times at once, and once more after it was killed half-way.
//
// Every signature is verified with the public key before it is used. A plugin that signs
// something else, or with another key, causes an error, and no certificate is made.
package execsigner

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/etcdsec/etcdsec/internal/goodkey"
)

// DefaultTimeout leaves a person time to touch an HSM.
const DefaultTimeout = time.Minute

// Config tells how to run a plugin and which of its keys to use.
type Config struct {
	// Argv is the plugin and its arguments, which no shell sees. A plugin without a slash
	// is looked up in PATH. Errors name the plugin and not its arguments.
	Argv []string

	// Key is the name by which the plugin knows the key, such as a PKCS #11 URI. It is no
	// secret: errors quote it.
	Key string

	// Public is the expected public key, from the certificate. Nil accepts any key of the plugin,
	// which is necessary for a new root.
	Public crypto.PublicKey

	// Env has the names of the environment variables that the plugin gets in addition to PATH
	// and HOME. Each must be set.
	Env []string

	// Timeout limits each operation; 0 means DefaultTimeout.
	Timeout time.Duration

	// Supervisor is the command line that runs the plugin, as [leash.Run] wants it, so that
	// nothing that the plugin started outlives it.
	Supervisor []string
}

// Signer is a crypto.Signer. Several goroutines may use it at once; each then runs the plugin.
type Signer struct {
	config Config
	public crypto.PublicKey
	// crypto.Signer passes no context, and a signature may wait for a person.
	ctx context.Context
}

var _ crypto.Signer = (*Signer)(nil)

// New asks the plugin for the public key and compares it with the expected one. The context also limits
// later signatures: when it is done, Sign fails.
func New(ctx context.Context, config Config) (*Signer, error) {
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("configuring the signer plugin: %w", err)
	}
	config.Argv, config.Env = slices.Clone(config.Argv), slices.Clone(config.Env)
	s := &Signer{config: config, ctx: ctx}
	public, err := s.publicKey()
	if err != nil {
		return nil, fmt.Errorf("asking plugin %q for the public key %q: %w", config.Argv[0], config.Key, err)
	}
	s.public = public
	return s, nil
}

func (c Config) validate() error {
	const longest = 1024
	var faults []error
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		faults = append(faults, errors.New("no program is named"))
	}
	if c.Key == "" || len(c.Key) > longest || !utf8.ValidString(c.Key) || strings.ContainsFunc(c.Key, unicode.IsControl) {
		faults = append(faults, fmt.Errorf("the key name %.40q; want 1 to %d bytes of printable text", c.Key, longest))
	}
	if c.Timeout < 0 {
		faults = append(faults, fmt.Errorf("the timeout %s; want a positive one, or 0 for %s", c.Timeout, DefaultTimeout))
	}
	if c.Public != nil {
		if err := goodkey.Check(c.Public); err != nil {
			faults = append(faults, fmt.Errorf("the expected public key: %w", err))
		}
	}
	if _, err := environment(c.Env); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

func (s *Signer) publicKey() (crypto.PublicKey, error) {
	der, err := s.ask(request{Version: version, Op: opPublicKey, Key: s.config.Key}, fieldPublicKey)
	if err != nil {
		return nil, err
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("parsing the public key, which must be a SubjectPublicKeyInfo in DER: %w", err)
	}
	if err := goodkey.CheckEncoded(public, der); err != nil {
		return nil, err
	}
	if want, ok := s.config.Public.(interface{ Equal(crypto.PublicKey) bool }); ok && !want.Equal(public) {
		return nil, errors.New("the plugin has another key than the certificate; is the key's name right?")
	}
	return public, nil
}

// Public returns the public key, from the configuration or from the plugin.
func (s *Signer) Public() crypto.PublicKey { return s.public }

// Sign has the plugin sign a digest, or for Ed25519 a message, and verifies what it
// returned. The random source is not used: the plugin has its own.
func (s *Signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := s.sign(digest, opts)
	if err != nil {
		return nil, fmt.Errorf("signing with key %q of plugin %q: %w", s.config.Key, s.config.Argv[0], err)
	}
	return signature, nil
}

func (s *Signer) sign(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	r, err := signRequest(s.public, digest, opts)
	if err != nil {
		return nil, err
	}
	r.Key = s.config.Key
	signature, err := s.ask(r, fieldSignature)
	if err != nil {
		return nil, err
	}
	if !verify(s.public, r, signature) {
		const refused = "the plugin did not return a signature of this data with this key"
		if key, ok := s.public.(*ecdsa.PublicKey); ok && len(signature) == 2*((key.Params().BitSize+7)/8) {
			return nil, errors.New(refused + "; it looks like the concatenated numbers r and s, and must be in DER")
		}
		return nil, errors.New(refused)
	}
	return signature, nil
}

// ask runs the plugin for one request and returns the one field that answers it.
func (s *Signer) ask(r request, field string) ([]byte, error) {
	line, err := r.encode()
	if err != nil {
		return nil, err
	}
	out, err := s.config.run(s.ctx, line)
	if err != nil {
		return nil, err
	}
	answer, err := parseResponse(out.stdout, field)
	refusal, refused := errors.AsType[*refusalError](err)
	switch {
	case refused:
		return nil, fmt.Errorf("%w%s", refusal, out.describeStderr())
	case out.exit != nil:
		// What it printed before it failed counts for nothing.
		return nil, fmt.Errorf("the plugin failed: %w%s", out.exit, out.describeStderr())
	case err != nil:
		return nil, fmt.Errorf("reading the plugin's response: %w%s", err, out.describeStderr())
	}
	return answer, nil
}
