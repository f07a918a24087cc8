package rbac

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/clientcert"
	"github.com/etcdsec/etcdsec/internal/input"
	"github.com/etcdsec/etcdsec/pki"
)

// Client holds a certificate that is presented to the members.
type Client struct {
	Source      string // where the certificate is, for people
	Certificate *tls.Certificate
	Role        cluster.Role // of the spec's client; empty for a certificate that is not of the store
}

// CommonName returns the name of the etcd user that the certificate stands for.
func (c Client) CommonName() string {
	if c.Certificate == nil || c.Certificate.Leaf == nil {
		return ""
	}
	return c.Certificate.Leaf.Subject.CommonName
}

// LoadClient reads a certificate and its key. One that is not valid at the given time is an
// *clientcert.ValidityError.
func LoadClient(files *input.Files, certPath, keyPath string, now time.Time) (Client, error) {
	pair, err := clientcert.ValidPair(files, certPath, keyPath, now)
	if err != nil {
		return Client{}, err
	}
	return Client{Source: certPath, Certificate: pair}, nil
}

// PairSyntaxError means that a text does not name a certificate and its key.
type PairSyntaxError struct{ Written string }

func (e *PairSyntaxError) Error() string { return e.Written + ": want CERT,KEY" }

// LoadClients reads certificates and their keys, each pair written as CERT,KEY.
func LoadClients(files *input.Files, written []string, now time.Time) ([]Client, error) {
	var clients []Client
	for _, w := range written {
		certPath, keyPath, both := strings.Cut(w, ",")
		if !both || certPath == "" || keyPath == "" {
			return nil, &PairSyntaxError{w}
		}
		client, err := LoadClient(files, certPath, keyPath, now)
		if err != nil {
			return nil, err
		}
		clients = append(clients, client)
	}
	return clients, nil
}

// StoreClients reads the certificates of the spec's clients from a store, in the order of the
// spec. It leaves out a client whose key is not in the store. The error joins the faults of the
// certificates that cannot be used; the others are returned with it.
func StoreClients(dir string, c *cluster.Cluster, now time.Time) ([]Client, error) {
	var clients []Client
	var faults []error
	for _, bundle := range pki.NewPlan(c).Bundles {
		for _, leaf := range bundle.Leaves {
			role := cluster.Role(leaf.Role)
			if !slices.Contains(cluster.Roles(), role) {
				continue // of a member
			}
			at := filepath.Join(dir, filepath.FromSlash(bundle.Path))
			keyPath := filepath.Join(at, leaf.KeyFile)
			if _, err := os.Stat(keyPath); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			client, err := LoadClient(nil, filepath.Join(at, leaf.CertFile), keyPath, now)
			if err != nil {
				faults = append(faults, err)
				continue
			}
			client.Role = role
			clients = append(clients, client)
		}
	}
	return clients, errors.Join(faults...)
}

// StoreRoots reads the CAs of the members' certificates from a store.
func StoreRoots(dir string) (*x509.CertPool, error) {
	return clientcert.Pool(nil, filepath.Join(dir, "authorities", pki.ClientRoot, "ca.crt"))
}

// Administrator returns the first client whose role is root.
func Administrator(clients []Client) (Client, bool) {
	at := slices.IndexFunc(clients, func(c Client) bool { return c.Role == cluster.RoleRoot })
	if at < 0 {
		return Client{}, false
	}
	return clients[at], true
}

// Endpoints returns the client port of every member as host:port: the given ones, with or without
// https://, or if none is given, those of the spec.
func Endpoints(written []string, c *cluster.Cluster) ([]string, error) {
	var endpoints []string
	for _, w := range written {
		host := strings.TrimSuffix(strings.TrimPrefix(w, "https://"), "/")
		u, err := url.Parse("https://" + host)
		if err != nil || u.Host != host || u.Hostname() == "" || u.Port() == "" || strings.HasPrefix(w, "http://") {
			return nil, fmt.Errorf("endpoint %q: want host:port of a client port, which speaks TLS", w)
		}
		endpoints = append(endpoints, host)
	}
	if len(endpoints) > 0 {
		return endpoints, nil
	}
	for _, m := range c.Etcd.Members {
		endpoints = append(endpoints, net.JoinHostPort(m.Advertised().String(), strconv.Itoa(int(c.Etcd.ClientPort))))
	}
	return endpoints, nil
}

// CheckUsers checks that the plan has a user for the CN of every certificate in use: those of the
// clients, those of the files in also, and the administrator's, whose user must keep role root.
func (p Plan) CheckUsers(clients []Client, also []string, admin Client) error {
	var faults []error
	check := func(source string, leaf *x509.Certificate) {
		if _, ok := p.User(leaf.Subject.CommonName); !ok {
			faults = append(faults, fmt.Errorf("%s: the plan has no user for its CN %q, so etcd would refuse its requests", source, makeLegible(leaf.Subject.CommonName)))
		}
	}
	for _, c := range clients {
		check(c.Source, c.Certificate.Leaf)
	}
	for _, path := range also {
		leaf, err := clientcert.Certificate(nil, path)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		check(path, leaf)
	}
	check(admin.Source, admin.Certificate.Leaf)
	if user, ok := p.User(admin.CommonName()); ok && !slices.Contains(user.Roles, RootRole) {
		faults = append(faults, fmt.Errorf("%s: the plan does not give user %s role root, so that this run could not continue", admin.Source, user.Name))
	}
	return errors.Join(faults...)
}

// Untried returns the users of the spec's clients that have none of the certificates. Nothing can
// prove that etcd serves them.
func (p Plan) Untried(clients []Client) []string {
	var names []string
	for _, user := range p.Users {
		tried := slices.ContainsFunc(clients, func(c Client) bool { return c.CommonName() == user.Name })
		if user.Client != "" && !tried {
			names = append(names, user.Name)
		}
	}
	return names
}
