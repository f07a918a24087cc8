package policies

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/policies/kube"
)

// ObjectDrift compares the objects that [Render] returns with those of a cluster. It fills in the
// API server's defaults first, and ignores the order where it has no meaning. It ignores foreign
// objects and those for another cluster of etcd; any other unwanted object with etcdsec's label is extra. An object that was skipped during
// reading is unknown. The differences are in the order of the wanted objects.
func ObjectDrift(want, have kube.Objects) []Difference {
	wanted, there := normalize(want), normalize(have)
	var found []Difference
	for _, w := range wanted {
		at := slices.IndexFunc(there, func(h normalObject) bool { return h.name == w.name })
		skipped := slices.IndexFunc(have.Skipped, func(s kube.Skipped) bool {
			kind, _, _ := strings.Cut(s.Kind, ".")
			return kind+" "+s.Name == w.name
		})
		switch {
		case skipped >= 0:
			found = append(found, Difference{What: w.name, Kind: Unknown, Live: have.Skipped[skipped].Why})
		case at >= 0:
			found = append(found, w.differences(there[at])...)
		default:
			found = append(found, Difference{What: w.name, Kind: Missing})
		}
	}
	for _, h := range there {
		ofAnother := h.cluster != "" && !slices.ContainsFunc(wanted, func(w normalObject) bool { return w.cluster == h.cluster })
		if h.ours && !ofAnother && !slices.ContainsFunc(wanted, func(w normalObject) bool { return w.name == h.name }) {
			found = append(found, Difference{What: h.name, Kind: Extra})
		}
	}
	return found
}

func normalize(o kube.Objects) []normalObject {
	var all []normalObject
	for _, b := range Backends() {
		if b.normal != nil {
			all = append(all, b.normal(o)...)
		}
	}
	return all
}

// normalObject is an object in a form in which objects can be compared.
type normalObject struct {
	name    string
	ours    bool
	cluster string // of etcd, for which it was made; empty if it does not say
	fields  map[string]any
	ordered []string // the lists in which the order decides
	partial bool     // only the wanted fields are compared
}

// newNormalObject returns the normal form of an object whose defaults are filled in. ordered
// names the lists whose order matters.
func newNormalObject(t kube.TypeMeta, m kube.ObjectMeta, spec any, ordered ...string) normalObject {
	name := m.Name
	if m.Namespace != "" {
		name = m.Namespace + "/" + name
	}
	return normalObject{
		name: t.Kind + " " + name, ours: m.Labels[ManagedBy] == Manager, cluster: m.Labels[clusterLabel],
		fields: map[string]any{"spec": toTree(spec)}, ordered: ordered,
	}
}

// toTree returns a value as decoded JSON. JSON can express every value of the types of package
// kube.
func toTree(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var t any
	if err := json.Unmarshal(data, &t); err != nil {
		return err.Error()
	}
	return t
}

func (w normalObject) differences(h normalObject) []Difference {
	c := comparison{object: w}
	c.compare("", w.fields, h.fields)
	return c.found
}

type comparison struct {
	object normalObject
	found  []Difference
}

func (c *comparison) add(field string, want, have any) {
	c.found = append(c.found, Difference{What: c.object.name + " " + field, Kind: Changed, Want: compactJSON(want), Live: compactJSON(have)})
}

// compactJSON returns a value as JSON with sorted maps, or an empty text for an absent value.
func compactJSON(v any) string {
	if v == nil {
		return ""
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func (c *comparison) compare(field string, want, have any) {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			c.add(field, want, have)
			return
		}
		c.compareMaps(field, w, h)
	case []any:
		h, ok := have.([]any)
		switch {
		case !ok:
			c.add(field, want, have)
		case slices.Contains(c.object.ordered, field):
			c.compareInOrder(field, w, h)
		default:
			c.compareUnordered(field, w, h)
		}
	default:
		if compactJSON(want) != compactJSON(have) {
			c.add(field, want, have)
		}
	}
}

func (c *comparison) compareMaps(field string, want, have map[string]any) {
	names := slices.Collect(maps.Keys(want))
	if !c.object.partial || field != "spec" {
		names = slices.AppendSeq(names, maps.Keys(have))
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		below := strings.TrimPrefix(field+"."+name, ".")
		w, wanted := want[name]
		h, there := have[name]
		switch {
		case !wanted:
			c.add(below, nil, h)
		case !there:
			c.add(below, w, nil)
		default:
			c.compare(below, w, h)
		}
	}
}

func (c *comparison) compareInOrder(field string, want, have []any) {
	for i := range max(len(want), len(have)) {
		at := field + "[" + strconv.Itoa(i) + "]"
		switch {
		case i >= len(want):
			c.add(at, nil, have[i])
		case i >= len(have):
			c.add(at, want[i], nil)
		default:
			c.compare(at, want[i], have[i])
		}
	}
}

// compareUnordered adds the elements that only one side has. It sorts nested lists first, so
// their order does not matter either.
func (c *comparison) compareUnordered(field string, want, have []any) {
	left := map[string]int{}
	for _, h := range have {
		left[canonical(h)]++
	}
	for i, w := range want {
		if text := canonical(w); left[text] > 0 {
			left[text]--
			continue
		}
		c.add(fmt.Sprintf("%s[%d]", field, i), w, nil)
	}
	for _, h := range have {
		if text := canonical(h); left[text] > 0 {
			left[text]--
			c.add(field, nil, h)
		}
	}
}

func canonical(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(v)) {
			b.WriteString(strconv.Quote(name) + ":" + canonical(v[name]) + ",")
		}
		return "{" + b.String() + "}"
	case []any:
		all := make([]string, 0, len(v))
		for _, element := range v {
			all = append(all, canonical(element))
		}
		slices.Sort(all)
		return "[" + strings.Join(all, ",") + "]"
	}
	return compactJSON(v)
}
