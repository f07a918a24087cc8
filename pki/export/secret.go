package export

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/pki"
)

// These types are the parts of a Secret (k8s.io/api/core/v1) that a manifest has. The real
// types would make the binary a third larger and write empty fields. test/k8s-api decodes the
// manifests strictly with the real types.
type (
	secret struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   metadata          `json:"metadata"`
		Type       string            `json:"type"`
		Data       map[string][]byte `json:"data"`
	}
	metadata struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	}
)

// Style names the program that loads the Secrets.
type Style string

// The styles. The method shape has the content of each.
const (
	StyleTLS          Style = "tls" // any program that accepts type kubernetes.io/tls
	StyleEtcdOperator Style = "etcd-operator"
	StyleBitnami      Style = "bitnami"
)

// Styles returns every style, in the order of the help.
func Styles() []Style { return []Style{StyleTLS, StyleEtcdOperator, StyleBitnami} }

// shape is the type of a Secret and the names of its three keys.
type shape struct{ kind, cert, key, ca string }

func (s Style) shape() shape {
	if s == StyleBitnami {
		// The defaults of auth.client and auth.peer: certFilename, certKeyFilename, and ca.crt
		// where caFilename is empty (bitnami/charts, bitnami/etcd/values.yaml and
		// templates/statefulset.yaml). An API server takes no Secret of type kubernetes.io/tls
		// without tls.crt and tls.key.
		return shape{kind: "Opaque", cert: "cert.pem", key: "key.pem", ca: "ca.crt"}
	}
	// etcd-operator mounts the same three (etcd-io/etcd-operator,
	// internal/controller/pods.go), and refuses a Secret without ca.crt (utils.go,
	// verifySecretHasCA).
	return shape{kind: "kubernetes.io/tls", cert: "tls.crt", key: "tls.key", ca: "ca.crt"}
}

// encodeKey returns the key in the form that the reader of the style parses. The auto provider of
// etcd-operator reads only SEC 1 (etcd-io/etcd-operator,
// pkg/certificate/auto/provider.go, parsePrivateKey); etcd reads that too.
func (s Style) encodeKey(l Leaf) ([]byte, error) {
	if key, ok := l.Key.(*ecdsa.PrivateKey); ok && s == StyleEtcdOperator {
		der, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
	}
	return encodeKey(l.Key)
}

// Secret returns the manifest of a Kubernetes Secret with a leaf, its chain and key, and the
// roots that its holder trusts. The leaf must have its key.
func Secret(l Leaf, style Style, name, namespace string) (File, error) {
	keyPEM, err := style.encodeKey(l)
	if err != nil {
		return File{}, fmt.Errorf("encoding the key of %s: %w", l.Name, err)
	}
	form := style.shape()
	data, err := yaml.Marshal(secret{
		APIVersion: "v1",
		Kind:       "Secret",
		Metadata: metadata{
			Name:      name,
			Namespace: namespace,
			Labels:    map[string]string{"app.kubernetes.io/managed-by": "etcdsec", "etcdsec.dev/cluster": l.cluster},
			Annotations: map[string]string{
				"etcdsec.dev/leaf":      l.Name,
				"etcdsec.dev/serial":    pki.SerialString(l.Cert().SerialNumber),
				"etcdsec.dev/not-after": l.Cert().NotAfter.UTC().Format(time.RFC3339),
			},
		},
		Type: form.kind,
		Data: map[string][]byte{
			form.cert: encodeCertificates(l.Chain),
			form.key:  keyPEM,
			form.ca:   encodeCertificates(l.Trust),
		},
	})
	if err != nil {
		return File{}, fmt.Errorf("encoding the Secret of %s: %w", l.Name, err)
	}
	return File{Name: name + ".yaml", Data: data}, nil
}

// maxName is the longest name of an object: a DNS subdomain of RFC 1123.
const maxName = 253

var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// CheckLabel refuses a string that is not a DNS label of RFC 1123. Names of namespaces and
// workloads must be DNS labels.
func CheckLabel(s string) error {
	if !label.MatchString(s) {
		return fmt.Errorf("%q is not a name: want up to 63 lower-case letters, digits and inner dashes", s)
	}
	return nil
}

var notInName = regexp.MustCompile(`[^a-z0-9-]+`)

// SecretNames returns the name of the Secret of each leaf, by the leaf's name. A name consists of
// the names of the cluster and of the leaf, with dashes. It also has a hash if two names would be
// equal, or if a name had to be changed to be valid. The name does not depend on the other leaves
// that are exported. Clusters can share a namespace, and nobody could tell the leaf b-c/server of
// cluster a from c/server of a-b; so all names of a cluster with a dash have the hash.
func (s *Store) SecretNames() map[string]string {
	refs := s.Leaves()
	taken, stems := map[string]int{}, map[string]int{}
	for _, r := range refs {
		taken[objectName(s.Cluster.Name+"/"+r.Name)]++
		stems[r.Path()]++
	}
	names := map[string]string{}
	for _, r := range refs {
		full := s.Cluster.Name + "/" + r.Name
		name := objectName(full)
		dashes := strings.Contains(s.Cluster.Name, "-")
		if name != strings.ReplaceAll(full, "/", "-") || taken[name] > 1 || dashes {
			hashed := r.Path()
			if stems[hashed] > 1 { // server.crt beside server.pem
				hashed = path.Join(r.bundle.Path, r.leaf.CertFile)
			}
			if dashes {
				hashed = s.Cluster.Name + "/" + hashed
			}
			sum := sha256.Sum256([]byte(hashed))
			suffix := "-" + hex.EncodeToString(sum[:4])
			name = strings.TrimRight(name[:min(len(name), maxName-len(suffix))], "-") + suffix
		}
		names[r.Name] = name
	}
	return names
}

// objectName replaces each run of characters that are not allowed in an object's name by one dash.
func objectName(s string) string {
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(s), "-"), "-")
	return strings.TrimRight(name[:min(len(name), maxName)], "-")
}
