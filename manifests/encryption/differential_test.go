package encryption

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// kube-apiserver's own code and ours never disagree about which files are loaded.
func TestAcceptsWhatKubeAPIServerAccepts(t *testing.T) {
	t.Parallel()
	const generated, mutated, composed, asJSON = 1200, 2000, 600, 400
	r := rand.New(rand.NewPCG(20261121, 37))
	var configs [][]byte
	for _, c := range handwritten() {
		configs = append(configs, []byte(c))
	}
	for range generated {
		configs = append(configs, []byte(generate(r, 0.03)))
	}
	for range composed {
		configs = append(configs, []byte(generate(r, 0)))
	}
	for range asJSON {
		if text, err := yaml.YAMLToJSON([]byte(generate(r, 0.01))); err == nil {
			configs = append(configs, text)
		}
	}
	for range mutated {
		configs = append(configs, mutate(r, configs[r.IntN(len(configs))]))
	}
	requests := make([]request, 0, len(configs))
	for _, c := range configs {
		requests = append(requests, request{Config: c})
	}
	count := map[bool]int{}
	faults := 0
	for i, a := range ask(t, requests...) {
		doc, decodeErr := decode("config.yaml", configs[i])
		for _, of := range []struct {
			server Server
			loads  bool
		}{
			{Server{}, a.Loads},
			{Server{Reload: true}, a.LoadsReload},
			{Server{KMSv1: true}, a.KMSv1},
			{Server{KMSv1: true, Reload: true}, a.KMSv1Reload},
		} {
			var c *Configuration
			err := decodeErr
			if err == nil {
				c, err = doc.load(of.server)
			}
			count[of.loads]++
			if (err == nil) != of.loads {
				if faults++; faults < 6 {
					t.Errorf("%+v: kube-apiserver loads it: %v (%s); we: %v\n%s", of.server, of.loads, a.Error, err, configs[i])
				}
				continue
			}
			if err != nil {
				unspoken(t, err.Error(), configs[i])
				continue
			}
			if a.Loads && a.Hash != Hash(configs[i]) {
				t.Errorf("hash %s, want %s", Hash(configs[i]), a.Hash)
			}
			if of.server == (Server{KMSv1: true}) {
				again(t, c, of.server)
			}
		}
	}
	t.Logf("loaded %d, refused %d", count[true], count[false])
	if count[true] < 3000 || count[false] < 3000 {
		t.Errorf("loaded %d and refused %d: the generator is one-sided", count[true], count[false])
	}
}

// unspoken fails when a message has one of the secrets of a file in it.
func unspoken(t *testing.T, message string, config []byte) {
	t.Helper()
	for _, secret := range secrets() {
		if strings.Contains(string(config), secret) && strings.Contains(message, secret[:12]) {
			t.Errorf("the message has a secret in it: %s", message)
		}
	}
}

// secrets are keys of 16, 24 and 32 bytes, in base64.
func secrets() []string {
	var list []string
	for i, n := range []int{32, 32, 32, 16, 24} {
		raw := make([]byte, n)
		r := rand.New(rand.NewPCG(uint64(i), 1))
		for j := range raw {
			raw[j] = byte(r.Uint32())
		}
		list = append(list, base64.StdEncoding.EncodeToString(raw))
	}
	return list
}

const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n"

func oneKey() string {
	return "resources:\n- resources: [secrets]\n  providers:\n  - secretbox: {keys: [{name: k1, secret: " + secrets()[0] + "}]}\n"
}

func withKMS(fields string) string {
	return head + "resources:\n- resources: [secrets]\n  providers:\n  - kms: {name: a, timeout: 1ms, " + fields + "}\n"
}

func withProviders(providers string) string {
	return head + "resources:\n- resources: [secrets]\n  providers:\n" + providers
}

// handwritten are the cases that were thought of.
func handwritten() []string {
	named := func(name string) string { return head + strings.ReplaceAll(oneKey(), "k1", name) }
	secret := func(s string) string { return head + strings.ReplaceAll(oneKey(), secrets()[0], s) }
	return []string{
		"", " \n", "# nothing\n", "- a\n", "a", "{}", "null", "---\n", "\x00", "k8s\x00\n\x02v1",
		head + oneKey(), "---\n" + head + oneKey(), "---\n---\n" + head + oneKey(), "\ufeff" + head + oneKey(),
		head + oneKey() + "---\nfoo: [\n", head + oneKey() + "---\n" + head + oneKey(), head + oneKey() + "...\ngarbage: ]",
		strings.ReplaceAll(head+oneKey(), "\n", "\r\n"), strings.ReplaceAll(head+oneKey(), "  providers", "\tproviders"),
		"apiVersion: v1\nkind: EncryptionConfig\n" + oneKey(), "apiVersion: /v1\nkind: EncryptionConfig\n" + oneKey(),
		"apiVersion: v1\nkind: EncryptionConfiguration\n" + oneKey(), "kind: EncryptionConfiguration\n" + oneKey(),
		"apiVersion: apiserver.config.k8s.io/v1\n" + oneKey(), "apiVersion: apiserver.config.k8s.io/v2\nkind: EncryptionConfiguration\n" + oneKey(),
		"apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\n", "apiVersion: a/b/c\nkind: EncryptionConfiguration\n" + oneKey(),
		head + "kind: EncryptionConfiguration\n" + oneKey(), head + "Kind: x\n" + oneKey(), head + "metadata: {}\n" + oneKey(),
		head, head + "resources: []\n", head + "resources: null\n", head + "resources: {}\n", head + "resources: [null]\n",
		`{"apiVersion":"apiserver.config.k8s.io/v1","kind":"EncryptionConfiguration","resources":[{"resources":["secrets"],"providers":[{"identity":{}}]}]}`,
		` {"apiVersion":"apiserver.config.k8s.io/v1","kind":"EncryptionConfiguration","resources":[{"resources":["secrets"],"providers":[{"identity":{}}]}]} {}`,
		`{"apiVersion":"apiserver.config.k8s.io/v1","kind":"EncryptionConfiguration","resources":[{"resources":["secrets"],"resources":["secrets"],"providers":[{"identity":{}}]}]}`,
		`{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: [{resources: [secrets], providers: [{identity: {}}]}]}`,
		`{"apiVersion":"apiserver.config.k8s.io/v1","kind":"EncryptionConfiguration","resources":[{"resources":["secrets"],"providers":[{"kms":{"apiVersion":"v1","name":"a","endpoint":"unix:///a","cachesize":1.0}}]}]}`,
		named("null"), named("123"), named("yes"), named("2001-01-01"), named("''"), named("'a:b'"), named("!!binary aGVsbG8="), named("0x1"), named("'A é'"),
		secret("' " + secrets()[0] + "'"), secret("\"" + secrets()[0] + "\\n\""), secret(strings.TrimRight(secrets()[0], "=")), secret("''"), secret("null"),
		secret("\"" + secrets()[0][:10] + "\\n" + secrets()[0][10:] + "\""), secret(secrets()[0][:10] + " " + secrets()[0][10:]),
		secret("|\n      " + secrets()[0]), secret(secrets()[3]), secret(secrets()[4]), secret("1"), secret("c2VjcmV0IGlzIHNlY3VyZQ=="),
		withKMS("apiVersion: v2, endpoint: 'unix:///a'"), withKMS("apiVersion: v1, endpoint: 'unix:///a'"), withKMS("endpoint: 'unix:///a'"), withKMS("apiVersion: v3, endpoint: 'unix:///a'"),
		withKMS("apiVersion: v2, endpoint: 'unix:'"), withKMS("apiVersion: v2, endpoint: 'unix://h'"), withKMS("apiVersion: v2, endpoint: 'UNIX:///a'"), withKMS("apiVersion: v2, endpoint: '/a'"),
		withKMS("apiVersion: v2, endpoint: 'unix:///a%01'"), withKMS("apiVersion: v2, endpoint: 'unix:///a%25zz'"), withKMS("apiVersion: v2, endpoint: 'unix:///@a:b'"), withKMS("apiVersion: v2, endpoint: 'unix:///a%3Fb'"),
		withKMS("apiVersion: v2, endpoint: 'unix:///%zz'"), withKMS("apiVersion: v2, endpoint: 'unix:///a', cachesize: 1"), withKMS("apiVersion: v1, endpoint: 'unix:///a', cachesize: 0"),
		withKMS("apiVersion: v1, endpoint: 'unix:///a', cachesize: -1"), withKMS("apiVersion: v1, endpoint: 'unix:///a', cachesize: 1.0"), withKMS("apiVersion: v1, endpoint: 'unix:///a', cachesize: 3000000000"),
		strings.ReplaceAll(withKMS("apiVersion: v2, endpoint: 'unix:///a'"), "1ms", "0s"), strings.ReplaceAll(withKMS("apiVersion: v2, endpoint: 'unix:///a'"), "1ms", "-1s"),
		strings.ReplaceAll(withKMS("apiVersion: v2, endpoint: 'unix:///a'"), "1ms", "3"), strings.ReplaceAll(withKMS("apiVersion: v2, endpoint: 'unix:///a'"), "1ms", "null"),
		strings.ReplaceAll(withKMS("apiVersion: v2, endpoint: 'unix:///a'"), "1ms", "''"), strings.ReplaceAll(withKMS("apiVersion: v2, endpoint: 'unix:///a'"), "name: a", "name: 'a:b'"),
		withProviders("  - identity:\n"), withProviders("  - identity: {}\n"), withProviders("  - identity: {x: 1}\n"), withProviders("  - identity: ''\n"), withProviders("  - {}\n"),
		withProviders("  - identity: {}\n    secretbox: {}\n"), withProviders("  - secretbox: {keys: [null]}\n"), withProviders("  - secretbox: {}\n"), withProviders("  - secretbox: {keys: {}}\n"),
		withProviders("  - identity: {}\n  - identity: {}\n"), withProviders("  - identity: {}\n  <<: {}\n"), withProviders("  - &a identity: {}\n  - *a\n"),
		withProviders("  - &a {identity: {}}\n  - *a\n"), withProviders("  - identity: &i {}\n  - identity: *i\n"),
	}
}

// generate composes a configuration; each choice is a wrong one with the given probability.
func generate(r *rand.Rand, wrong float64) string {
	g := generator{r, wrong}
	var b strings.Builder
	b.WriteString(g.or("apiVersion: apiserver.config.k8s.io/v1\n", "apiVersion: v1\n", "", "apiVersion: 1\n", "apiVersion: [a]\n"))
	b.WriteString(g.or("kind: EncryptionConfiguration\n", "kind: EncryptionConfig\n", "", "kind: null\n", "kind: X\nkind: Y\n"))
	b.WriteString(g.or("resources:\n", "resource:\n", "Resources:\n", "resources: {}\nx:\n"))
	for range 1 + r.IntN(4) {
		var resources []string
		for range 1 + r.IntN(3) {
			resources = append(resources, g.resource())
		}
		b.WriteString(g.or("- resources: ["+strings.Join(resources, ", ")+"]\n", "- resources: secrets\n", "- resources: []\n", "- resources: [1]\n", "- resources: [null]\n"))
		b.WriteString(g.or("  providers:\n", "  provider:\n", "  providers: []\n  more:\n"))
		for range 1 + r.IntN(3) {
			b.WriteString("  - " + g.provider())
		}
	}
	return b.String()
}

type generator struct {
	*rand.Rand
	wrong float64
}

func (g generator) of(choices ...string) string { return choices[g.IntN(len(choices))] }

// or is right, or seldom one of the wrong ones.
func (g generator) or(right string, wrong ...string) string {
	if g.Float64() < g.wrong {
		return g.of(wrong...)
	}
	return right
}

func (g generator) resource() string {
	right := g.of("secrets", "configmaps", "events", "pods", "deployments.apps", "pandas.awesome.bears.example", "secret", "''", "secrets.v1", "leases.coordination.k8s.io", "roles.rbac")
	if g.IntN(6) == 0 {
		right = g.of("'*.'", "'*.apps'", "'*.*'", "'*.awesome.bears.example'", "secrets.")
	}
	return g.or(right, "'*'", "Secrets", "'secrets.*'", "x.events.k8s.io", "ingresses.extensions", "serviceipallocations", "'.'", "'a.*.b'", "'*.*.'", "É", "yes")
}

func (g generator) provider() string {
	switch g.IntN(5) {
	case 0:
		return g.or("identity: {}\n", "identity:\n", "identity: []\n", "Identity: {}\n", "none: {}\n")
	case 1:
		return g.kms()
	default:
		name := g.of("secretbox", "aesgcm", "aescbc")
		var keys []string
		for range 1 + g.IntN(2) {
			keys = append(keys, g.key(name))
		}
		return g.or(name+": {keys: ["+strings.Join(keys, ", ")+"]}\n", name+": {}\n", name+": {keys: []}\n", name+":\n", name+": {key: []}\n",
			name+": {keys: ["+strings.Join(keys, ", ")+"], keys: []}\n", name+": {keys: ["+strings.Join(keys, ", ")+"]}\n    identity: {}\n")
	}
}

func (g generator) key(provider string) string {
	sizes := secrets()[:3]
	if provider != "secretbox" {
		sizes = secrets()
	}
	name := g.or("name: "+g.of("k1", "k2", "k3", "'a:b'", "k-20261121-0a1b2c3d"), "name: ''", "name: 1", "nam: x", "name: null", "name: {}")
	secret := g.or("secret: "+g.of(sizes...), "secret: "+g.of(secrets()...), "secret: ''", "secret: abc", "secret: '"+sizes[0]+"  '", "secret: 12", "secret: "+strings.Trim(sizes[0], "="))
	return g.or("{"+name+", "+secret+"}", "{"+name+"}", "{"+secret+"}", "{"+name+", "+secret+", algorithm: x}", "null")
}

func (g generator) kms() string {
	fields := []string{
		g.or("apiVersion: v2", "apiVersion: v1", "apiVersion: v3", "apiVersion: 2", "apiVersion: ''"),
		g.or("name: "+g.of("p1", "p2", "p3", "p4", "p5", "p6", "p7"), "name: 'a:b'", "name: ''", "name: 5"),
		g.or("endpoint: "+g.of("unix:///run/kms.sock", "unix:///@kms", "'unix:'"), "endpoint: /run/kms.sock", "endpoint: 'http://a'", "endpoint: ':'", "endpoint: ''", "endpoint: 'unix:///%01'"),
	}
	if g.IntN(2) == 0 {
		fields = append(fields, g.or("timeout: 1ms", "timeout: 0s", "timeout: 1", "timeout: -3s", "timeout: ''", "timeout: x"))
	}
	if g.Float64() < 2*g.wrong {
		fields = append(fields, g.of("cachesize: 10", "cachesize: 0", "cachesize: -1", "cachesize: 1.5", "cachesize: x", "cachesize: 99999999999", "cachesize: 1e2", "cachesize: 0x10"))
	}
	return "kms: {" + strings.Join(fields, ", ") + "}\n"
}

// mutate damages a file at one to three places.
func mutate(r *rand.Rand, config []byte) []byte {
	b := append([]byte(nil), config...)
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return b
		}
		at := r.IntN(len(b))
		switch r.IntN(7) {
		case 0: // a character of those that mean something
			const special = "\t\n -:,[]{}'\"#&*!|>%@`\\?<=~.\r\x00\xff01aZ"
			b[at] = special[r.IntN(len(special))]
		case 1: // one more of them
			const special = "\t\n -:,[]{}'\"#&*!|>%@`\\?<=~.\r"
			b = append(b[:at:at], append([]byte{special[r.IntN(len(special))]}, b[at:]...)...)
		case 2: // one less
			b = append(b[:at:at], b[at+1:]...)
		case 3: // a line twice
			lines := strings.SplitAfter(string(b), "\n")
			i := r.IntN(len(lines))
			b = []byte(strings.Join(lines[:i], "") + lines[i] + strings.Join(lines[i:], ""))
		case 4: // a line less
			lines := strings.SplitAfter(string(b), "\n")
			i := r.IntN(len(lines))
			b = []byte(strings.Join(lines[:i], "") + strings.Join(lines[i+1:], ""))
		case 5: // a line further in or out
			lines := strings.SplitAfter(string(b), "\n")
			i := r.IntN(len(lines))
			if lines[i] = " " + lines[i]; r.IntN(2) == 0 {
				lines[i] = strings.TrimPrefix(lines[i][1:], "  ")
			}
			b = []byte(strings.Join(lines, ""))
		case 6: // the end is missing
			b = b[:at]
		}
	}
	return b
}

// again reads what is rendered of a configuration, which must say the same.
func again(t *testing.T, c *Configuration, server Server) {
	t.Helper()
	text, err := c.Render()
	if err != nil {
		t.Fatalf("%v", err)
	}
	same, err := Parse("rendered.yaml", text, server)
	if err != nil {
		t.Fatalf("what was rendered is refused: %v\n%s", err, text)
	}
	if !c.Equal(same) {
		t.Errorf("what was rendered says something else:\n%s", text)
	}
	if fmt.Sprint(c) == "" {
		t.Error("nothing is printed")
	}
}
