// Package kubeapi asks API servers with the credentials of a kubeconfig. It adds limits to
// k8s.io/client-go: every request has a deadline, every answer and every list has a maximum size. It
// sends credentials only to verified servers, and no error quotes them.
package kubeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// Client asks one API server.
type Client struct {
	// Context is the name of the context in the kubeconfig.
	Context string

	base   *url.URL
	config *rest.Config
	http   *http.Client
	rest   *rest.RESTClient
}

// Host returns the host and port of the server.
func (c *Client) Host() string {
	if c.base.Port() == "" {
		return net.JoinHostPort(c.base.Hostname(), "443")
	}
	return c.base.Host
}

// At returns a client with the same credentials for another server of the cluster, at a host and
// port. The certificate of that server must name the host, unless the kubeconfig has a
// tls-server-name. A login program runs once for all clients.
func (c *Client) At(address string) (*Client, error) {
	base := *c.base
	base.Host = address
	return newClient(c.Context, &base, c.config, c.http)
}

func newClient(name string, base *url.URL, config *rest.Config, shared *http.Client) (*Client, error) {
	own := rest.CopyConfig(config)
	own.Host = base.String()
	asked, err := rest.UnversionedRESTClientForConfigAndClient(own, shared)
	if err != nil {
		return nil, errors.New("the address of the server is not valid")
	}
	return &Client{Context: name, base: base, config: config, http: shared, rest: asked}, nil
}

// DiscardLogs stops client-go from writing to stderr, in the whole process. Call it once, before a
// kubeconfig is opened.
func DiscardLogs() { klog.SetLogger(logr.Discard()) }

// newSerializer returns the codecs of the objects that etcdsec reads and writes. The typed clientset
// of client-go has the codecs of every group, which are 26 MB.
func newSerializer() (serializer.CodecFactory, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, coordinationv1.AddToScheme, metav1.AddMetaToScheme,
	} {
		if err := add(scheme); err != nil {
			return serializer.CodecFactory{}, err
		}
	}
	return serializer.NewCodecFactory(scheme), nil
}

// Get reads one answer in JSON. accept is the requested media type; empty means application/json.
func (c *Client) Get(ctx context.Context, path string, query url.Values, accept string, into any) error {
	answer, err := c.read(ctx, c.request(http.MethodGet, path, query, accept))
	if err != nil {
		return err
	}
	return c.decode(answer, into)
}

// Text reads a page that is not JSON, such as /metrics.
func (c *Client) Text(ctx context.Context, path string) (string, error) {
	answer, err := c.read(ctx, c.request(http.MethodGet, path, nil, "text/plain"))
	return string(answer), err
}

// Send writes an object, or a patch of it, and reads the answer into into, if that is not nil.
func (c *Client) Send(ctx context.Context, method, path, contentType string, body []byte, into any) error {
	request := c.request(method, path, nil, "")
	if contentType != "" {
		request.SetHeader("Content-Type", contentType)
	}
	answer, err := c.read(ctx, request.Body(body))
	if err != nil || into == nil {
		return err
	}
	return c.decode(answer, into)
}

func (c *Client) request(method, path string, query url.Values, accept string) *rest.Request {
	const retries = 3 // of a server that is overloaded and says when to come again
	request := c.rest.Verb(method).AbsPath(path).MaxRetries(retries)
	for name, values := range query {
		for _, value := range values {
			request.Param(name, value)
		}
	}
	if accept == "" {
		accept = runtime.ContentTypeJSON
	}
	return request.SetHeader("Accept", accept)
}

func (c *Client) do(ctx context.Context, request *rest.Request) rest.Result {
	return request.Do(withBudget(ctx, maxAnswer))
}

// read returns the bytes of an answer.
func (c *Client) read(ctx context.Context, request *rest.Request) ([]byte, error) {
	result := c.do(ctx, request)
	// Raw has an error too, without what the server said of it.
	if err := result.Error(); err != nil {
		return nil, c.explain(err)
	}
	return result.Raw()
}

func (c *Client) decode(answer []byte, into any) error {
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s: the answer is not JSON", c.base.Host)
	}
	return nil
}
