package lint

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/etcdsec/etcdsec/internal/oracle"
)

// Whatever is found in a file is found in one that kube-apiserver's own code loads, and so is
// in what --fix makes of it. What is called refused is refused.
func TestKubeAPIServerLoadsWhatIsFound(t *testing.T) {
	t.Parallel()
	binary, err := oracle.Binary(t.Context(), "encryptionconfig", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	type question struct {
		Config []byte `json:"config"`
	}
	var in, out bytes.Buffer
	encoder := json.NewEncoder(&in)
	var asked []string
	var loads []bool
	ask := func(name string, text []byte, loaded bool) {
		t.Helper()
		if err := encoder.Encode(question{text}); err != nil {
			t.Fatal(err)
		}
		asked, loads = append(asked, name), append(loads, loaded)
	}
	for id, list := range fixtures() {
		for _, f := range list {
			if f.text == "" {
				continue
			}
			s := subject(f)
			ask(id+", "+f.name, []byte(f.text), s.Configuration != nil)
			fixed, _ := Fix(s)
			if fixed == nil {
				continue
			}
			text, err := fixed.Render()
			if err != nil {
				t.Fatal(err)
			}
			ask(id+", "+f.name+", fixed", text, true)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(&out)
	for i, name := range asked {
		var a struct {
			Error       string `json:"error"`
			KMSv1Reload bool   `json:"kms_v1_reload"`
		}
		if err := decoder.Decode(&a); err != nil {
			t.Fatal(err)
		}
		if a.KMSv1Reload != loads[i] {
			t.Errorf("%s: kube-apiserver loads it: %v: %s", name, a.KMSv1Reload, a.Error)
		}
	}
	if len(asked) == 0 {
		t.Error("nothing was asked")
	}
}
