package encryption

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/internal/strictyaml"
)

// MaxSize bounds a file. A rule with a key is some 200 bytes.
const MaxSize = 1 << 20

// Server holds the part of an API server's command line that decides which files it loads.
type Server struct {
	// KMSv1 is --feature-gates=KMSv1=true, which is off by default since Kubernetes 1.29.
	KMSv1 bool
	// Reload is --encryption-provider-config-automatic-reload.
	Reload bool
}

// Parse reads a file as the kube-apiserver of Kubernetes 1.37 does, and refuses what it
// refuses. The error joins all faults, each a *strictyaml.Fault; none contains a secret. file is
// only used in messages.
//
// It decodes with the libraries of kube-apiserver, so both agree on the scalars of YAML 1.1, on
// repeated keys and on what follows the first document. The only known difference is apiVersion
// apiserver.config.k8s.io/__internal, which kube-apiserver accepts by accident and Parse refuses.
func Parse(file string, data []byte, server Server) (*Configuration, error) {
	d, err := decode(file, data)
	if err != nil {
		return nil, err
	}
	return d.load(server)
}

// document holds a decoded file of YAML or JSON.
type document struct {
	wire     wireConfiguration
	decoding decoding // what could not be decoded
	ignored  int
}

func decode(file string, data []byte) (*document, error) {
	if len(data) > MaxSize {
		return nil, &strictyaml.Fault{File: file, Problem: "larger than 1 MiB; this is not an EncryptionConfiguration"}
	}
	var doc document
	d := &doc.decoding
	d.file = file
	d.source, doc.ignored = strictyaml.Locate(file, data)
	text := d.toJSON(data)
	if text == nil {
		return nil, errors.Join(d.faults...)
	}
	strict, err := kjson.UnmarshalStrict(text, &doc.wire)
	if err != nil || len(strict) > 0 {
		d.explain(text)
		if len(d.faults) == 0 {
			d.addFaultAt(0, "kube-apiserver's decoder refuses it")
		}
	}
	return &doc, nil
}

// load validates the document as a server does, and returns its configuration.
func (doc *document) load(server Server) (*Configuration, error) {
	v := validation{decoding: doc.decoding, server: server}
	v.faults = slices.Clone(v.faults)
	v.checkConfiguration(&doc.wire)
	if err := errors.Join(v.faults...); err != nil {
		return nil, err
	}
	c := doc.wire.toConfiguration()
	c.source, c.IgnoredLine = doc.decoding.source, doc.ignored
	return c, nil
}

// The file as it is decoded (k8s.io/apiserver pkg/apis/apiserver/v1, types_encryption.go).
type (
	wireConfiguration struct {
		Kind       string     `json:"kind"`
		APIVersion string     `json:"apiVersion"`
		Resources  []wireRule `json:"resources"`
	}
	wireRule struct {
		Resources []string       `json:"resources"`
		Providers []wireProvider `json:"providers"`
	}
	wireProvider struct {
		AESGCM    *wireKeys `json:"aesgcm"`
		AESCBC    *wireKeys `json:"aescbc"`
		Secretbox *wireKeys `json:"secretbox"`
		Identity  *struct{} `json:"identity"`
		KMS       *wireKMS  `json:"kms"`
	}
	wireKeys struct {
		Keys []wireKey `json:"keys"`
	}
	wireKey struct {
		Name   string `json:"name"`
		Secret string `json:"secret"`
	}
	wireKMS struct {
		APIVersion string        `json:"apiVersion"`
		Name       string        `json:"name"`
		CacheSize  *int32        `json:"cachesize"`
		Endpoint   string        `json:"endpoint"`
		Timeout    *wireDuration `json:"timeout"`
	}
	wireDuration struct {
		time.Duration
		wrong bool
	}
)

// UnmarshalJSON accepts what metav1.Duration accepts, and notes a fault for later: an error here
// would stop the reading of the file.
func (d *wireDuration) UnmarshalJSON(text []byte) error {
	var s string
	err := json.Unmarshal(text, &s)
	if err == nil {
		d.Duration, err = time.ParseDuration(s)
	}
	d.wrong = err != nil
	return nil
}

// decoding collects the faults of a file; addFault is for what cannot be decoded.
type decoding struct {
	file   string
	source strictyaml.Source
	faults []error
	wrong  map[string]bool // the fields that could not be decoded
}

func (d *decoding) addFault(field, format string, a ...any) {
	if d.wrong == nil {
		d.wrong = map[string]bool{}
	}
	d.wrong[field] = true
	d.faults = append(d.faults, d.source.Fault(field, format, a...))
}

func (d *decoding) addFaultAt(line int, format string, a ...any) {
	d.faults = append(d.faults, &strictyaml.Fault{File: d.file, Line: line, Problem: fmt.Sprintf(format, a...)})
}

// toJSON returns the document as JSON, or nil if there is none. Like kube-apiserver, it reads text
// that begins with a brace as JSON only.
func (d *decoding) toJSON(data []byte) []byte {
	if len(bytes.TrimSpace(data)) == 0 {
		d.addFaultAt(0, "the file is empty")
		return nil
	}
	if bytes.HasPrefix(bytes.TrimLeftFunc(data, unicode.IsSpace), []byte("{")) {
		var tree any
		err := json.Unmarshal(data, &tree)
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			d.addFaultAt(1+bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n")),
				"not JSON, and kube-apiserver reads a file that begins with a brace as JSON: %v", syntax)
			return nil
		}
		return data
	}
	text, strict := yaml.YAMLToJSONStrict(data)
	if strict == nil {
		return text
	}
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		line, problem := yamlProblem(err)
		d.addFaultAt(line, "not YAML: %s", problem)
		return nil
	}
	repeated := repeatedKey.FindAllStringSubmatch(strict.Error(), -1)
	for _, m := range repeated {
		line, _ := strconv.Atoi(m[1]) // digits
		d.addFaultAt(line, "a key is given twice")
	}
	if repeated == nil {
		line, problem := yamlProblem(strict)
		d.addFaultAt(line, "not YAML as kube-apiserver wants it: %s", problem)
	}
	return text
}

var (
	yamlLine    = regexp.MustCompile(`line (\d+): `)
	repeatedKey = regexp.MustCompile(`line (\d+): key .* already set in map`)
)

// yamlProblem returns the message of a YAML library, cut before it quotes the file, which may hold a
// secret.
func yamlProblem(err error) (line int, problem string) {
	problem = strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatchIndex(problem); m != nil {
		line, _ = strconv.Atoi(problem[m[2]:m[3]]) // digits
		problem = problem[m[1]:]
	}
	if at := strings.IndexAny(problem, "`'\"\n"); at >= 0 {
		problem = strings.TrimSpace(problem[:at]) + " …"
	}
	return line, problem
}
