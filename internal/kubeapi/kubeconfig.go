package kubeapi

import (
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	// It registers the auth-provider "oidc"; client-go has no other way to do that.
	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc"

	"github.com/etcdsec/etcdsec/internal/input"
)

// maxFile is larger than any kubeconfig, certificate or token.
const maxFile = 1 << 20

// Config says how to ask an API server. Path and Timeout are required.
type Config struct {
	// Path is the path of the kubeconfig.
	Path string
	// Context is the name of a context in it; empty means its current one.
	Context string
	// Timeout is the time for each request.
	Timeout time.Duration
	// Supervisor is the command line that supervises a program of the kubeconfig, in the form for
	// [leash.New]. Without it, a kubeconfig that names a program is refused.
	Supervisor []string
	// Notify, if not nil, is called for a slow login, from any goroutine.
	Notify func(Waiting)
	// Files opens the kubeconfig; nil has no standard input.
	Files *input.Files
}

// Open reads a kubeconfig.
//
// A user may have a client certificate, a token, an exec plugin or the auth-provider oidc.
// As with kubectl, the plugin runs at the first request, can use the terminal if stdin is one and
// the kubeconfig allows it, and writes to stderr. It ends, with everything that it started, when the
// login ends, when no request waits for it any more, or when this process ends. Like kubectl, oidc
// writes a refreshed token back to the kubeconfig.
func Open(c Config) (*Client, error) {
	data, err := c.Files.Read(c.Path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	client, err := parse(data, c)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig %s: %w", c.Path, err)
	}
	return client, nil
}

func parse(data []byte, c Config) (*Client, error) {
	path := c.Path
	file, err := clientcmd.Load(data)
	if _, is := errors.AsType[base64.CorruptInputError](err); is {
		return nil, errors.New("one of its keys that end in -data is not base64")
	}
	if err != nil {
		// The parser may quote the file, and that holds keys.
		return nil, errors.New("not the YAML of a kubeconfig")
	}
	name := cmp.Or(c.Context, file.CurrentContext)
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
		return nil, fmt.Errorf("the user %q: %w", chosen.AuthInfo, err)
	}
	login, err := newLoginGuard(user, c, chosen.AuthInfo)
	if err != nil {
		return nil, fmt.Errorf("the user %q: %w", chosen.AuthInfo, err)
	}
	access := &clientcmd.PathOptions{GlobalFile: path, LoadingRules: &clientcmd.ClientConfigLoadingRules{ExplicitPath: path}}
	config, err := clientcmd.NewNonInteractiveClientConfig(*file, name, &clientcmd.ConfigOverrides{}, access).ClientConfig()
	if err != nil {
		return nil, err
	}
	transport, err := secureConfig(config, c.Timeout, login)
	if err != nil {
		return nil, err
	}
	return newClient(name, base, config, &http.Client{
		Transport: transport,
		// A redirect would take the credentials along.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
}

// secureConfig sets the options of every client, and returns the transport that the clients share.
func secureConfig(config *rest.Config, timeout time.Duration, login *loginGuard) (http.RoundTripper, error) {
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
	config.Wrap(func(base http.RoundTripper) http.RoundTripper { return &boundedTransport{base: base, timeout: timeout} })
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	if login != nil {
		login.base = transport
		return login, nil
	}
	return transport, nil
}

// checkCluster refuses a server that must not get credentials.
func checkCluster(c *clientcmdapi.Cluster) (*url.URL, error) {
	base, err := url.Parse(c.Server)
	switch {
	case err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http"):
		return nil, errors.New("the cluster's server is not a URL of https://")
	case base.Scheme == "http":
		return nil, errors.New("the cluster's server is http://: credentials are not sent in plaintext")
	case c.InsecureSkipTLSVerify:
		return nil, errors.New("insecure-skip-tls-verify is on: credentials are not sent to an unverified server")
	case c.ProxyURL != "":
		return nil, errors.New("proxy-url is not supported: run this where the API server is reached directly")
	}
	base.RawQuery, base.Fragment = "", ""
	ca, err := inlineOrFile("certificate-authority", c.CertificateAuthorityData, c.CertificateAuthority)
	if err != nil {
		return nil, err
	}
	if ca != nil && !x509.NewCertPool().AppendCertsFromPEM(ca) {
		return nil, errors.New("certificate-authority: no PEM certificate in it")
	}
	return base, nil
}

// inlineOrFile returns the content of a key of the kubeconfig, or of the file that the key names. It
// returns nil if there is neither.
func inlineOrFile(key string, inline []byte, path string) ([]byte, error) {
	if len(inline) > 0 {
		return inline, nil
	}
	if path == "" {
		return nil, nil
	}
	data, err := input.ReadFile(path, maxFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %s is not there", key, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return data, nil
}
