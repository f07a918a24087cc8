package kubeapi

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	// It registers the auth-provider "oidc", which client-go knows no other way to name.
	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// maxFile is above any kubeconfig, certificate or token.
const maxFile = 1 << 20

// Open reads a kubeconfig. An empty context selects its current one. Each request may take as
// long as timeout.
//
// A user may have a client certificate, a token, an exec plugin or the auth-provider oidc.
// The plugin runs at the first request, has the terminal if stdin is one and the kubeconfig
// lets it, and writes to stderr, as with kubectl; oidc writes a refreshed token back to the
// kubeconfig, as kubectl does.
func Open(path, context string, timeout time.Duration) (*Client, error) {
	data, err := durable.ReadFile(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	c, err := parse(data, path, context, timeout)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig %s: %w", path, err)
	}
	return c, nil
}

func parse(data []byte, path, context string, timeout time.Duration) (*Client, error) {
	file, err := clientcmd.Load(data)
	if _, is := errors.AsType[base64.CorruptInputError](err); is {
		return nil, errors.New("one of its keys that end in -data is not base64")
	}
	if err != nil {
		// The parser may quote the file, and that holds keys.
		return nil, errors.New("not the YAML of a kubeconfig")
	}
	name := cmp.Or(context, file.CurrentContext)
	if name == "" {
		return nil, errors.New("it has no current-context; name one with --context")
	}
	chosen := file.Contexts[name]
	if chosen == nil {
		return nil, fmt.Errorf("it has no context %q", name)
	}
	cluster := file.Clusters[chosen.Cluster]
	if cluster == nil {
		return nil, fmt.Errorf("it has no cluster %q", chosen.Cluster)
	}
	user := file.AuthInfos[chosen.AuthInfo]
	if user == nil {
		return nil, fmt.Errorf("it has no user %q", chosen.AuthInfo)
	}
	// Paths are relative to the kubeconfig.
	cluster.LocationOfOrigin, user.LocationOfOrigin = path, path
	if err := errors.Join(clientcmd.ResolvePaths(clientcmd.GetClusterFileReferences(cluster), filepath.Dir(path)), clientcmd.ResolvePaths(clientcmd.GetAuthInfoFileReferences(user), filepath.Dir(path))); err != nil {
		return nil, err
	}
	base, err := checkCluster(cluster)
	if err != nil {
		return nil, err
	}
	if err := checkUser(user, path); err != nil {
		return nil, err
	}
	access := &clientcmd.PathOptions{GlobalFile: path, LoadingRules: &clientcmd.ClientConfigLoadingRules{ExplicitPath: path}}
	config, err := clientcmd.NewNonInteractiveClientConfig(*file, name, &clientcmd.ConfigOverrides{}, access).ClientConfig()
	if err != nil {
		return nil, err
	}
	transport, err := secure(config, timeout)
	if err != nil {
		return nil, err
	}
	return newClient(name, base, config, &http.Client{
		Transport: transport,
		// A redirect would take the credentials along.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
}

// secure sets what every client has, and returns the transport that all of them share.
func secure(config *rest.Config, timeout time.Duration) (http.RoundTripper, error) {
	codecs, err := newSerializer()
	if err != nil {
		return nil, err
	}
	config.NegotiatedSerializer = codecs.WithoutConversion()
	config.UserAgent = "etcdsec"
	config.DisableCompression = true // a small answer would become a large one
	config.WarningHandler = rest.NoWarnings{}
	config.QPS = -1 // whoever writes much has a pace of his own
	// Each API server is asked at its own address, whatever HTTPS_PROXY says.
	config.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	config.Wrap(func(base http.RoundTripper) http.RoundTripper { return &bounded{base: base, timeout: timeout} })
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	if config.ExecProvider != nil || config.AuthProvider != nil {
		transport = &patient{base: transport}
	}
	return transport, nil
}

// checkCluster refuses a server that credentials are not to be sent to.
func checkCluster(c *clientcmdapi.Cluster) (*url.URL, error) {
	base, err := url.Parse(c.Server)
	switch {
	case err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http"):
		return nil, errors.New("the cluster's server is not a URL of https://")
	case base.Scheme == "http":
		return nil, errors.New("the cluster's server is http://: credentials are not sent in plaintext")
	case c.InsecureSkipTLSVerify:
		return nil, errors.New("insecure-skip-tls-verify is on: credentials are not sent to a server that nobody verifies")
	case c.ProxyURL != "":
		return nil, errors.New("proxy-url is not supported: run this where the API server is reached directly")
	}
	base.RawQuery, base.Fragment = "", ""
	ca, err := material("certificate-authority", c.CertificateAuthorityData, c.CertificateAuthority)
	if err != nil {
		return nil, err
	}
	if ca != nil && !x509.NewCertPool().AppendCertsFromPEM(ca) {
		return nil, errors.New("certificate-authority: no PEM certificate in it")
	}
	return base, nil
}

// checkUser refuses credentials that cannot work, and a program that another may have named.
func checkUser(u *clientcmdapi.AuthInfo, path string) error {
	switch {
	case u.Username != "" || u.Password != "":
		return errors.New("its user has a password, which Kubernetes has refused since 1.19")
	case u.AuthProvider != nil && u.AuthProvider.Name != "oidc":
		return fmt.Errorf("its user has the auth-provider %q, which client-go no longer has: use the exec plugin that replaced it", u.AuthProvider.Name)
	case u.Exec != nil:
		if err := checkPlugin(u.Exec, path); err != nil {
			return err
		}
	}
	if u.TokenFile != "" {
		if _, err := material("tokenFile", nil, u.TokenFile); err != nil {
			return err
		}
	}
	cert, err := material("client-certificate", u.ClientCertificateData, u.ClientCertificate)
	if err != nil || cert == nil {
		return err
	}
	key, err := material("client-key", u.ClientKeyData, u.ClientKey)
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
	return nil
}

// checkPlugin refuses a program that is not installed, and any program of a kubeconfig that
// others may write: whoever writes it chooses what is run here, perhaps as root.
func checkPlugin(plugin *clientcmdapi.ExecConfig, path string) error {
	if _, err := exec.LookPath(plugin.Command); err != nil {
		return fmt.Errorf("its user logs in with a program that cannot be run: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	owner, is := info.Sys().(*syscall.Stat_t)
	if !is || (owner.Uid != 0 && int(owner.Uid) != os.Geteuid()) {
		return errors.New("its user logs in with a program, and the file belongs to somebody else, who could name any program")
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("its user logs in with a program, and others may write the file: chmod go-w %s", shellword.Path(path))
	}
	return nil
}

// material returns what a key of the kubeconfig holds, or what the file that it names holds;
// nil if neither is given.
func material(key string, inline []byte, path string) ([]byte, error) {
	if len(inline) > 0 {
		return inline, nil
	}
	if path == "" {
		return nil, nil
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
