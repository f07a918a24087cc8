package policies_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
)

// The spec knows the backends that there are, in the same order, and no others.
func TestBackendsAreThoseOfTheSpec(t *testing.T) {
	t.Parallel()
	var names []cluster.Backend
	for _, b := range policies.Backends() {
		names = append(names, b.Name)
		if found, err := policies.FindBackend(b.Name); err != nil || found.Name != b.Name || found.Summary == "" {
			t.Errorf("%s: %+v, %v", b.Name, found, err)
		}
	}
	if !slices.Equal(names, cluster.Backends()) {
		t.Errorf("the table has %q, and a spec may have %q", names, cluster.Backends())
	}
}

// Every file of a backend is read again by the form that it is in.
func TestFilesAreRead(t *testing.T) {
	t.Parallel()
	read := 0
	for _, spec := range []string{"stacked", "external", "hosted"} {
		i := intent(t, spec)
		for _, b := range policies.Backends() {
			files, err := b.Files(i)
			if err != nil {
				continue // TestRender has the refusals
			}
			if len(files) == 0 {
				t.Errorf("%s of %s: no file", b.Name, spec)
			}
			for _, f := range files {
				if b.Name == cluster.BackendNftables {
					continue // nft's own form; it is read as nft lists it
				}
				var filters policies.Filters
				node := f.Member
				if err := filters.Read(node, f.Path, f.Data); err != nil {
					t.Errorf("%s of %s: %v", f.Path, spec, err)
				}
				if b.MadeOfObjects() == (len(filters.Units) > 0) {
					t.Errorf("%s of %s is read as %d units", f.Path, spec, len(filters.Units))
				}
				read++
			}
		}
	}
	if read < 5 {
		t.Errorf("%d files were read", read)
	}
}

// The spec to start from names every backend.
func TestTemplateNamesBackends(t *testing.T) {
	t.Parallel()
	for _, runtime := range []cluster.Runtime{cluster.StaticPod, cluster.Systemd, cluster.Hosted} {
		var b strings.Builder
		if err := cluster.WriteTemplate(&b, runtime); err != nil {
			t.Fatal(err)
		}
		for _, name := range cluster.Backends() {
			if !strings.Contains(b.String(), string(name)) {
				t.Errorf("the template for %s does not name %s", runtime, name)
			}
		}
	}
}
