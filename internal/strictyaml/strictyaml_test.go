package strictyaml_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/internal/strictyaml"
)

type document struct {
	Name  string    `yaml:"name"`
	Count int       `yaml:"count"`
	On    bool      `yaml:"on"`
	Day   string    `yaml:"day"`
	Items []item    `yaml:"items"`
	Kept  string    // no key of the document
	Inner *struct{} // likewise
}

type item struct {
	Name string `yaml:"name"`
}

func TestDecode(t *testing.T) {
	var got document
	source, err := strictyaml.Decode("a.yaml", []byte("name: x\ncount: 3\non: true\nday: 2027-03-31\nitems:\n  - name: one\n  -\n    name: two\n"), &got)
	if err != nil {
		t.Fatal(err)
	}
	want := document{Name: "x", Count: 3, On: true, Day: "2027-03-31", Items: []item{{"one"}, {"two"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for field, line := range map[string]int{"name": 1, "items[0].name": 6, "items[1]": 8, "items[1].absent": 8, "absent": 0} {
		if got := source.Line(field); got != line {
			t.Errorf("%s is on line %d, want %d", field, got, line)
		}
	}
	if got := source.Fault("items[1].absent", "is %s", "missing").Error(); got != "a.yaml:8: items[1].absent: is missing" {
		t.Errorf("got %q", got)
	}
	if got := (strictyaml.Source{}).Fault("name", "is missing").Error(); got != "name: is missing" {
		t.Errorf("without a file: %q", got)
	}
}

// Every fault is in the one error, each located.
func TestDecodeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want []string
	}{
		"empty":    {" \n", []string{"a.yaml: the file is empty"}},
		"not YAML": {"name: [", []string{"a.yaml:1: not YAML: "}},
		"two":      {"name: x\n---\nname: y\n", []string{"a second YAML document; want exactly one"}},
		"all at once": {"nmae: x\ncount: many\non: yes\nday: 3\nitems: {}\nname: [x]\nname: y\nKept: z\n", []string{
			"a.yaml:1: nmae: unknown key; known here: name, count, on, day, items",
			`a.yaml:2: count: want a whole number, got "many"`,
			`a.yaml:3: on: want true or false, got "yes"`,
			`a.yaml:4: day: want a string, got "3", which YAML reads as another type; put it in quotes`,
			"a.yaml:5: items: want a list, got a mapping",
			"a.yaml:6: name: want a string, got a list",
			"a.yaml:7: name: is given twice; first on line 6",
			"a.yaml:8: Kept: unknown key",
		}},
		"an alias": {"name: &a x\nday: *a\n", []string{"a.yaml:1: name: anchors and aliases are not allowed", "a.yaml:2: day: anchors"}},
	} {
		t.Run(name, func(t *testing.T) {
			var into document
			_, err := strictyaml.Decode("a.yaml", []byte(c.file), &into)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in:\n%v", want, err)
				}
			}
			var fault *strictyaml.Fault
			if !errors.As(err, &fault) || fault.File != "a.yaml" {
				t.Errorf("no located fault in %v", err)
			}
		})
	}
}

// Locate knows the lines of whatever is YAML, and says where a second document begins.
func TestLocate(t *testing.T) {
	t.Parallel()
	source, next := strictyaml.Locate("a.yaml", []byte("a:\n  b:\n  - c: 1\n  - {d: 2}\ne: &x f\ng: *x\n---\nh: i\n"))
	for field, line := range map[string]int{"a.b": 3, "a.b[1].d": 4, "a.b[1].z": 4, "e": 5, "g": 6, "nowhere": 0} {
		if got := source.Line(field); got != line {
			t.Errorf("%s: line %d, want %d", field, got, line)
		}
	}
	if next != 7 {
		t.Errorf("the second document is on line %d", next)
	}
	for text, want := range map[string]int{"": 0, "a: [": 0, "a: b\n---\n": 0, "a: b\n---\n# c\n": 0, "a: b\n---\nc: [\n": 4, "a: b\n...\nc: d\n": 3, "a: b\n---\n---\nc: d\n": 3} {
		if _, got := strictyaml.Locate("a.yaml", []byte(text)); (got == 0) != (want == 0) {
			t.Errorf("%q: a second document on line %d, want %d", text, got, want)
		}
	}
	// However deep a document is, it is read.
	deep, _ := strictyaml.Locate("a.yaml", []byte(strings.Repeat("[", 5000)+strings.Repeat("]", 5000)))
	if got := deep.Line("[0][0]"); got != 1 {
		t.Errorf("a deep document begins on line %d", got)
	}
}
