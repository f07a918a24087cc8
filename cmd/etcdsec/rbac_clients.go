package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki"
	"github.com/etcdsec/etcdsec/policies/rbac"
)

// storeClient is a client's certificate in a store.
type storeClient struct {
	rbac.Client

	role cluster.Role
}

// storeClients are the certificates of the spec's clients whose keys the store has. For the way out,
// those that are of no use are left out.
func (a *app) storeClients(dir string, c *cluster.Cluster, wayOut bool) ([]storeClient, error) {
	var clients []storeClient
	for _, bundle := range pki.NewPlan(c).Bundles {
		for _, leaf := range bundle.Leaves {
			if !slices.Contains(cluster.Roles(), cluster.Role(leaf.Role)) {
				continue // of a member
			}
			at := filepath.Join(dir, filepath.FromSlash(bundle.Path))
			certPath, keyPath := filepath.Join(at, leaf.CertFile), filepath.Join(at, leaf.KeyFile)
			if _, err := os.Stat(keyPath); errors.Is(err, fs.ErrNotExist) {
				continue // its holder has the key
			}
			pair, err := loadClientPair(certPath, keyPath, a.now())
			if err != nil && wayOut {
				continue
			}
			if err != nil {
				return nil, err
			}
			clients = append(clients, storeClient{rbac.Client{Source: certPath, Certificate: pair}, cluster.Role(leaf.Role)})
		}
	}
	return clients, nil
}

// presented are the clients to try: those of the store, then those of --present.
func (a *app) presented(written []string, store []storeClient) ([]rbac.Client, error) {
	var clients []rbac.Client
	for _, c := range store {
		clients = append(clients, c.Client)
	}
	for _, w := range written {
		certPath, keyPath, both := strings.Cut(w, ",")
		if !both || certPath == "" || keyPath == "" {
			return nil, usageError(fmt.Errorf("--present %s: want CERT,KEY", w), "--present apiserver-etcd-client.crt,apiserver-etcd-client.key")
		}
		pair, err := loadClientPair(certPath, keyPath, a.now())
		if err != nil {
			return nil, err
		}
		clients = append(clients, rbac.Client{Source: certPath, Certificate: pair})
	}
	return clients, nil
}

// rbacAdministrator fills in who asks: --cert, or the store's first client of role root.
func (a *app) rbacAdministrator(flags rbacFlags, r rbacRun, store []storeClient) error {
	if (flags.certPath == "") != (flags.keyPath == "") {
		return usageError(errors.New("--cert and --key go together"), "--cert client.crt --key client.key")
	}
	at := slices.IndexFunc(store, func(c storeClient) bool { return c.role == cluster.RoleRoot })
	switch {
	case flags.certPath != "":
		pair, err := loadClientPair(flags.certPath, flags.keyPath, a.now())
		if err != nil {
			return err
		}
		r.live.Admin = rbac.Client{Source: flags.certPath, Certificate: pair}
	case at >= 0:
		r.live.Admin = store[at].Client
	default:
		return failure(fmt.Errorf("%s: there is no certificate of a client of role root", r.dir),
			"etcdsec pki issue -f "+r.specPath+" "+r.dir+"   # or --cert FILE --key FILE of an administrator")
	}
	var err error
	if flags.caPath == "" {
		flags.caPath = filepath.Join(r.dir, "authorities", pki.ClientRoot, "ca.crt")
	}
	if r.live.Roots, err = loadPool(flags.caPath); err != nil {
		return failure(err, "--cacert takes PEM certificates (etcd's --trusted-ca-file or kube-apiserver's --etcd-cafile)")
	}
	return nil
}

// checkRBACClients wants each certificate that is in use to be a user, each user of the spec to be
// tried, and the administrator to stay one.
func checkRBACClients(r rbacRun, also []string) error {
	var faults []error
	check := func(source string, leaf *x509.Certificate) {
		if err := r.plan.CheckClient(source, leaf); err != nil {
			faults = append(faults, err)
		}
	}
	for _, c := range r.clients {
		check(c.Source, c.Certificate.Leaf)
	}
	for _, path := range also {
		leaf, err := firstCertificate(path)
		if err != nil {
			return failure(err, "")
		}
		check(path, leaf)
	}
	admin := r.live.Admin
	check(admin.Source, admin.Certificate.Leaf)
	if user, ok := r.plan.User(admin.CommonName()); ok && !slices.Contains(user.Roles, rbac.RootRole) {
		faults = append(faults, fmt.Errorf("%s: user %s does not have role root by the plan, so that it could not go on", admin.Source, user.Name))
	}
	if len(faults) > 0 {
		return failure(errors.Join(faults...), "add a client of that name to spec.clients, or issue its certificate with the CN of one that is there")
	}
	for _, user := range r.plan.Users {
		tried := slices.ContainsFunc(r.clients, func(c rbac.Client) bool { return c.CommonName() == user.Name })
		if user.Client != "" && !tried {
			return failure(fmt.Errorf("user %s: there is no certificate to try it with in %s", user.Name, r.dir), "etcdsec pki issue -f "+r.specPath+" "+r.dir+"   # or --present CERT,KEY")
		}
	}
	return nil
}

// firstCertificate is what the holder of a file presents as its own.
func firstCertificate(path string) (*x509.Certificate, error) {
	data, err := readPEM(path)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: %w", err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			leaf, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("reading the certificate %s: %w", path, err)
			}
			return leaf, nil
		}
	}
	return nil, fmt.Errorf("reading a certificate: %s: no PEM certificate in it", path)
}
