package encryption

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// All that is wrong with a file is said at once, with its line and field, and no secret.
func TestEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	s := secrets()
	text := `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
metadata: {}
resources:
- resources: [Secrets, '*']
  providers:
  - secretbox:
      keys:
      - name: a
        secret: ` + s[3] + `
      - secret: "` + s[0] + ` "
      - {name: b, secret: 17, ` + s[1] + `: x}
  - kms: {endpoint: http://x, timeout: 3}
- resources: ['*.*']
  providers: [{}]
- resources: [pods]
  providers: {}
`
	_, err := Parse("e.yaml", []byte(text), Server{})
	if err == nil {
		t.Fatal("it is accepted")
	}
	want := `e.yaml:12: resources[0].providers[0].secretbox.keys[2]: an unknown key, which is not shown here; known here: name, secret
e.yaml:12: resources[0].providers[0].secretbox.keys[2].secret: want a string, got a number; put it in quotes if it is one
e.yaml:3: metadata: unknown key; known here: apiVersion, kind, resources
e.yaml:13: resources[0].providers[1].kms.timeout: want a duration above 0, such as 3s
e.yaml:17: resources[2].providers: want a list, got a mapping
e.yaml:5: resources[0].resources[0]: "Secrets" has capital letters
e.yaml:5: resources[0].resources[1]: want *. for the core group, *.GROUP for another, or *.* for everything
e.yaml:5: resources[0].resources: a wildcard covers another resource of the list; give it a rule of its own, after the other
e.yaml:10: resources[0].providers[0].secretbox.keys[0].secret: has 16 bytes; want 32
e.yaml:11: resources[0].providers[0].secretbox.keys[1].name: is missing
e.yaml:11: resources[0].providers[0].secretbox.keys[1].secret: is not base64 with padding; there is white space in it
e.yaml:13: resources[0].providers[1].kms.name: is missing
e.yaml:13: resources[0].providers[1].kms.endpoint: want a socket, such as unix:///run/kms.sock
e.yaml:13: resources[0].providers[1].kms.apiVersion: is missing, which means v1, and kube-apiserver has that off by default; want v2
e.yaml:15: resources[1].providers[0]: names no provider: want one of secretbox, aesgcm, aescbc, kms, identity: {}
e.yaml:16: resources[2].resources[0]: "pods" is masked by the earlier "*."; wildcards come last`
	got := strings.Split(err.Error(), "\n")
	for line := range strings.SplitSeq(want, "\n") {
		if !strings.Contains("\n"+err.Error()+"\n", "\n"+line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
	if len(got) != strings.Count(want, "\n")+1 || t.Failed() {
		t.Errorf("%d faults:\n%s", len(got), err)
	}
	unspoken(t, err.Error(), []byte(text))
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"empty":                {"", "e.yaml: the file is empty"},
		"a tab":                {head + "resources:\n\t- a\n", "e.yaml:4: not YAML: found character that cannot start any token"},
		"broken":               {head + "resources: [" + secrets()[0], "e.yaml:"},
		"not JSON":             {"{\n a: 1}", "e.yaml:2: not JSON, and kube-apiserver reads a file that begins with a brace as JSON"},
		"no mapping":           {"- a\n", "e.yaml: want a mapping, got a list"},
		"twice":                {head + "kind: x\n" + oneKey(), "e.yaml:3: a key is given twice"},
		"huge":                 {strings.Repeat("#", MaxSize+1), "e.yaml: larger than 1 MiB"},
		"a key for a resource": {head + strings.ReplaceAll(oneKey(), "[secrets]", "["+secrets()[1]+"]"), "resources[0].resources[0]: (a name of 44 characters that could be a key) is not a resource"},
		"a key for a name":     {head + strings.ReplaceAll(strings.ReplaceAll(oneKey(), secrets()[0], "abcd"), "k1", secrets()[0]), "has 3 bytes; want 32"},
		"a tag":                {head + strings.ReplaceAll(oneKey(), secrets()[0], "!!int "+secrets()[0]), "not YAML: cannot decode !!str …"},
	} {
		_, err := Parse("e.yaml", []byte(tc.text), Server{})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		unspoken(t, err.Error(), []byte(tc.text))
	}
}

// However a key is printed, its secret is not in it.
func TestKeysAreNotPrinted(t *testing.T) {
	t.Parallel()
	raw := []byte("0123456789abcdefghijklmnopqrstuv")
	k := NewKey("k1", raw)
	type hidden struct {
		key  Key
		keys []Key
	}
	c := &Configuration{Rules: []Rule{{Resources: []string{"secrets"}, Providers: []Provider{{Type: Secretbox, Keys: []Key{k}}}}}}
	encodings := []string{string(raw), base64.StdEncoding.EncodeToString(raw), fmt.Sprintf("%x", raw), fmt.Sprintf("%X", raw), strings.Trim(fmt.Sprintf("%d", raw), "[]")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%U", "%c", "%t"} {
		for _, v := range []any{k, &k, []Key{k}, c, *c, c.Rules, hidden{k, []Key{k}}, &hidden{k, nil}, map[string]Key{"a": k}} {
			out := fmt.Sprintf(verb, v)
			for _, e := range encodings {
				if strings.Contains(out, e) {
					t.Errorf("%s of %T prints the secret", verb, v)
				}
			}
		}
	}
	for _, v := range []any{k, c} {
		if out, err := json.Marshal(v); err != nil || bytes.Contains(out, []byte(encodings[1])) {
			t.Errorf("JSON of %T: %v", v, err)
		}
	}
	for name, shown := range map[string]bool{
		"k-20261121-0a1b2c3d": true, "key1": true, "prod-cluster-encryption-key-2026": true, "a:b": true,
		encodings[1]: false, fmt.Sprintf("%x", raw): false, secrets()[3]: false, secrets()[4]: false, "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dg": false,
	} {
		if got := ShowName(name) == fmt.Sprintf("%q", name); got != shown {
			t.Errorf("a name of %d characters is shown: %v", len(name), got)
		}
	}
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 23, 30, 0, 0, time.FixedZone("", -3*3600))
	k, err := GenerateKey(rand.NewChaCha8([32]byte{}), now)
	if err != nil || k.Len() != 32 || !strings.HasPrefix(k.Name, "k-20261121-") || !strings.HasSuffix(k.Name, k.Fingerprint()) || len(k.Fingerprint()) != 8 {
		t.Errorf("%v %v", k, err)
	}
	if _, err := GenerateKey(strings.NewReader("short"), now); err == nil {
		t.Error("a key of five bytes")
	}
	if _, err := GenerateKey(bytes.NewReader(make([]byte, 32)), now); err == nil {
		t.Error("a key of zeros")
	}
}

// What is accepted re-encodes to itself, whatever the bytes; what is refused has a reason.
func FuzzParse(f *testing.F) {
	seeds := handwritten()
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	for range 50 {
		f.Add([]byte(generate(r, 0.02)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, server := range []Server{{}, {KMSv1: true}} {
			c, err := Parse("e.yaml", data, server)
			if err != nil {
				if err.Error() == "" {
					t.Error("refused without a reason")
				}
				continue
			}
			text, err := c.Render()
			if err != nil {
				t.Fatal(err)
			}
			same, err := Parse("e.yaml", text, server)
			if err != nil || !c.Equal(same) {
				t.Errorf("it says something else when it is rendered: %v", err)
			}
		}
	})
}
