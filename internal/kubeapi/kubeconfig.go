// Package kubeapi asks API servers with the credentials of a kubeconfig. Every answer is
// bounded in time and size, credentials go to servers alone that are verified, and no error
// quotes them.
package kubeapi

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// kubeconfig is the part of a kubeconfig (k8s.io/client-go/tools/clientcmd/api/v1) that
// says how to reach one cluster. Other keys are allowed: they are other tools'.
type kubeconfig struct {
	CurrentContext string `json:"current-context"`
	Contexts       []struct {
		Name    string `json:"name"`
		Context struct {
			Cluster string `json:"cluster"`
			User    string `json:"user"`
		} `json:"context"`
	} `json:"contexts"`
	Clusters []struct {
		Name    string  `json:"name"`
		Cluster cluster `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		Name string `json:"name"`
		User user   `json:"user"`
	} `json:"users"`
}

type cluster struct {
	Server     string `json:"server"`
	CAFile     string `json:"certificate-authority"`
	CAData     string `json:"certificate-authority-data"`
	ServerName string `json:"tls-server-name"`
	Insecure   bool   `json:"insecure-skip-tls-verify"`
	ProxyURL   string `json:"proxy-url"`
}

type user struct {
	CertFile  string         `json:"client-certificate"`
	CertData  string         `json:"client-certificate-data"`
	KeyFile   string         `json:"client-key"`
	KeyData   string         `json:"client-key-data"`
	Token     string         `json:"token"`
	TokenFile string         `json:"tokenFile"`
	Exec      map[string]any `json:"exec"`
	Provider  map[string]any `json:"auth-provider"`
	Username  string         `json:"username"`
}

// maxFile is above any kubeconfig, certificate or token.
const maxFile = 1 << 20

// Client asks one API server.
type Client struct {
	// Context is the name of the context in the kubeconfig.
	Context string

	base  *url.URL
	token string
	http  *http.Client
}

// Host is the host and port of the server.
func (c *Client) Host() string {
	if c.base.Port() == "" {
		return net.JoinHostPort(c.base.Hostname(), "443")
	}
	return c.base.Host
}

// At is a client with the same credentials for another server of the cluster, at a host and
// port. The server's certificate is to name that host, unless the kubeconfig says a name.
func (c *Client) At(address string) *Client {
	other := *c
	base := *c.base
	base.Host = address
	other.base = &base
	return &other
}

// Open reads a kubeconfig. An empty context is its current one. Each request may take as
// long as timeout.
func Open(path, context string, timeout time.Duration) (*Client, error) {
	data, err := durable.ReadFile(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	c, err := parse(data, filepath.Dir(path), context, timeout)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig %s: %w", path, err)
	}
	return c, nil
}

func parse(data []byte, dir, context string, timeout time.Duration) (*Client, error) {
	var config kubeconfig
	if err := yaml.Unmarshal(data, &config); err != nil {
		// The parser may quote the file, and that holds keys.
		return nil, errors.New("not the YAML of a kubeconfig")
	}
	name := cmp.Or(context, config.CurrentContext)
	if name == "" {
		return nil, errors.New("it has no current-context; name one with --context")
	}
	var found *Client
	for _, c := range config.Contexts {
		if c.Name != name {
			continue
		}
		cluster, err := config.cluster(c.Context.Cluster)
		if err != nil {
			return nil, err
		}
		user, err := config.user(c.Context.User)
		if err != nil {
			return nil, err
		}
		if found, err = newClient(cluster, user, dir, timeout); err != nil {
			return nil, err
		}
		found.Context = name
		return found, nil
	}
	return nil, fmt.Errorf("it has no context %q", name)
}

func (k kubeconfig) cluster(name string) (cluster, error) {
	for _, c := range k.Clusters {
		if c.Name == name {
			return c.Cluster, nil
		}
	}
	return cluster{}, fmt.Errorf("it has no cluster %q", name)
}

func (k kubeconfig) user(name string) (user, error) {
	for _, u := range k.Users {
		if u.Name == name {
			return u.User, nil
		}
	}
	return user{}, fmt.Errorf("it has no user %q", name)
}

func newClient(c cluster, u user, dir string, timeout time.Duration) (*Client, error) {
	base, err := url.Parse(c.Server)
	switch {
	case err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http"):
		return nil, errors.New("the cluster's server is not a URL of https://")
	case base.Scheme == "http":
		return nil, errors.New("the cluster's server is http://: credentials are not sent in plaintext")
	case c.Insecure:
		return nil, errors.New("insecure-skip-tls-verify is on: credentials are not sent to a server that nobody verifies")
	case c.ProxyURL != "":
		return nil, errors.New("proxy-url is not supported: run this where the API server is reached directly")
	case len(u.Exec) > 0, len(u.Provider) > 0:
		return nil, errors.New("its user gets credentials from another program, which is not run here: give a kubeconfig with a client certificate or a token (kubectl create token)")
	case u.Username != "":
		return nil, errors.New("its user has a password, which Kubernetes takes no more since 1.19")
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	ca, err := material("certificate-authority", c.CAData, c.CAFile, dir)
	if err != nil {
		return nil, err
	}
	if ca != nil {
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("certificate-authority: no PEM certificate in it")
		}
	}
	if err := u.present(secure, dir); err != nil {
		return nil, err
	}
	token, err := u.bearer(dir)
	if err != nil {
		return nil, err
	}
	return &Client{base: base, token: token, http: &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			TLSClientConfig:        secure,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		// A redirect would take the credentials along.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// present adds the user's client certificate, if there is one.
func (u user) present(secure *tls.Config, dir string) error {
	cert, err := material("client-certificate", u.CertData, u.CertFile, dir)
	if err != nil || cert == nil {
		return err
	}
	key, err := material("client-key", u.KeyData, u.KeyFile, dir)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return errors.New("client-certificate and client-key are not a pair")
	}
	if time.Now().After(pair.Leaf.NotAfter) { //nolint:forbidigo // as TLS judges it, by the machine's clock
		return fmt.Errorf("the client certificate expired on %s", pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	secure.Certificates = []tls.Certificate{pair}
	return nil
}

func (u user) bearer(dir string) (string, error) {
	if u.TokenFile == "" {
		return u.Token, nil
	}
	token, err := material("tokenFile", "", u.TokenFile, dir)
	return strings.TrimSpace(string(token)), err
}

// material is what a key of the kubeconfig holds in base64, or what the file beside it
// holds; nil if neither is given. Paths are relative to the kubeconfig.
func material(key, inline, path, dir string) ([]byte, error) {
	if inline != "" {
		data, err := base64.StdEncoding.DecodeString(inline)
		if err != nil {
			return nil, fmt.Errorf("%s-data is not base64", key)
		}
		return data, nil
	}
	if path == "" {
		return nil, nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	data, err := durable.ReadFile(path, maxFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %s is not there", key, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return data, nil
}
