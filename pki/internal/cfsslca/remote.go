package cfsslca

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/cloudflare/cfssl/auth"
	"github.com/cloudflare/cfssl/signer"

	"github.com/etcdsec/etcdsec/pki/internal/leafcert"
)

// Remote signs leaves with the `cfssl serve` of a site. The server's policy decides key usages and
// lifetime, not the request, so the caller verifies each certificate like its own.
type Remote struct {
	url      string
	provider auth.Provider
	client   *http.Client
}

// The limits of one request.
const (
	remoteTimeout  = 30 * time.Second
	maxRemoteReply = 1 << 20
)

// NewRemote prepares requests to the server at base, such as https://ca.example:8888. key is
// the hexadecimal HMAC key of the server's auth provider. roots verify an https server; nil
// means the roots of the system.
func NewRemote(base string, key []byte, roots *x509.CertPool) (*Remote, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return nil, fmt.Errorf("%q is not the address of a cfssl server, such as https://ca.example:8888", base)
	}
	// auth.New would read an environment variable or a file for a key with a prefix.
	text := string(bytes.TrimSpace(key))
	if len(text) < 32 || bytes.ContainsAny(key, ":") {
		return nil, errors.New("the auth key is not the hexadecimal text of at least 16 bytes")
	}
	provider, err := auth.New(text, nil)
	if err != nil {
		return nil, errors.New("the auth key is not hexadecimal text") // the cause could quote it
	}
	return &Remote{
		url:      u.JoinPath("api/v1/cfssl/authsign").String(),
		provider: provider,
		client: &http.Client{
			Timeout:       remoteTimeout,
			Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Sign asks the server for a certificate. The server chooses serial number and lifetime.
func (r *Remote) Sign(ctx context.Context, leaf leafcert.Request, csrDER []byte) (*x509.Certificate, error) {
	profile, err := profileFor(leaf.EKUs)
	if err != nil {
		return nil, err
	}
	// The names of the server's interface, which has no fields for a lifetime
	// (cfssl api/signhandler/signhandler.go, jsonSignRequest).
	request, err := json.Marshal(struct {
		Hosts   []string        `json:"hosts"`
		Request string          `json:"certificate_request"`
		Subject *signer.Subject `json:"subject"`
		Profile string          `json:"profile"`
	}{
		leaf.Hosts(),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csrDER})),
		&signer.Subject{CN: leaf.CommonName},
		profile,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	token, err := r.provider.Token(request)
	if err != nil {
		return nil, errors.New("signing the request with the auth key failed")
	}
	body, err := json.Marshal(auth.AuthenticatedRequest{Token: token, Request: request})
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	reply, err := r.post(ctx, body)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", r.url, err)
	}
	return reply, nil
}

func (r *Remote) post(ctx context.Context, body []byte) (*x509.Certificate, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxRemoteReply+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxRemoteReply {
		return nil, fmt.Errorf("it answered with more than %d bytes", maxRemoteReply)
	}
	var answer struct {
		Success bool `json:"success"`
		Result  struct {
			Certificate string `json:"certificate"`
		} `json:"result"`
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("it answered %s with something that is not cfssl's: %w", response.Status, err)
	}
	if !answer.Success || response.StatusCode != http.StatusOK {
		message := "no reason given"
		if len(answer.Errors) > 0 {
			message = answer.Errors[0].Message
		}
		return nil, fmt.Errorf("it refused: %s: %q", response.Status, message)
	}
	block, _ := pem.Decode([]byte(answer.Result.Certificate))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("it returned no certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}
