package prose

import (
	"fmt"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/etcdsec/etcdsec"

// exceptions are the functions that may decide by the words of an error, each with the reason.
// A folder's name, a new release or another language changes words: think twice, and ask
// whether the error has a type.
var exceptions = map[string]string{
	"cmd/etcdsec errorLines":               "it looks for the text of an inner error in that of the outer one, to print it line by line",
	"cmd/etcdsec cutPrefix":                "the same",
	"cmd/etcdsec wrapLines":                "the same",
	"internal/strictyaml Locate":           "the YAML library gives the line of a fault in its text only",
	"manifests/encryption decoding.toJSON": "the same",
	"manifests/encryption yamlProblem":     "the same, and the text is cut where it quotes the file, which has keys",
	"policies/kube isUnknownField":         "the decoder tells an unknown field from a repeated one by its text only",
	"policies/reach Prove":                 "each line of joined errors is one unknown of the proof; nothing is decided",
	"policies/rbac watchError":             "etcd gives the reason of a canceled watch as text only",
	"policies/rbac isRefusalMessage":       "etcd 3.5 passes refusals of a snapshot on without a code",
	"policies/rbac isNoPasswordUser":       "etcd tells only by a text that a user has no password",
}

// Nothing in the product decides by the words of an error, but for the exceptions.
func TestNothingDecidesByWordsOfAnError(t *testing.T) {
	packages, err := Load(t.Context(), ".", module, module+"/cmd/etcdsec")
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 30 {
		t.Fatalf("%d packages: this test read too little", len(packages))
	}
	used := map[string]bool{}
	for _, p := range packages {
		for _, place := range Matches(p) {
			key := strings.TrimPrefix(place.Package, module+"/") + " " + place.Function
			if _, ok := exceptions[key]; !ok {
				t.Errorf("%s decides by the words of an error: use errors.Is, errors.AsType or an enum", place)
			}
			used[key] = true
		}
	}
	for key := range exceptions {
		if !used[key] {
			t.Errorf("%q does not decide by the words of an error any more: take it off the list", key)
		}
	}
}

// The test finds what it forbids, in every form, and nothing else.
func TestViolationsAreFound(t *testing.T) {
	const name = "testdata/violations/violations.go"
	packages, err := Load(t.Context(), ".", module+"/internal/prose/testdata", "./testdata/violations")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []int
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasSuffix(line, "// found") {
			want = append(want, i+1)
		}
	}
	if len(packages) != 1 || len(want) < 10 {
		t.Fatalf("%d packages, %d violations", len(packages), len(want))
	}
	for _, place := range Matches(packages[0]) {
		got = append(got, place.Position.Line)
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("found in lines %v, want %v", got, want)
	}
	last := Matches(packages[0])
	if place := last[len(last)-1]; place.Function != "decider.method" || place.Does != "==" {
		t.Errorf("got %s", place)
	}
}

func TestPlaceString(t *testing.T) {
	p := Place{Function: "f", Position: token.Position{Filename: "a.go", Line: 3}, Does: "=="}
	if got := fmt.Sprint(p); got != "a.go:3: f: ==" {
		t.Errorf("got %s", got)
	}
}
