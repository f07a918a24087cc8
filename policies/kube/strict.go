package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	kjson "sigs.k8s.io/json"
)

// readSome reads some fields of an object, and ignores the others.
func readSome[T any](kept keep, into func(*Objects) *[]T) reading {
	return reading{lenient: true, read: func(d *decoder, data []byte) (Unread, error) {
		var err error
		if d.buffer, err = prune(d.buffer[:0], data, kept); err != nil {
			return nil, err
		}
		var object T
		if err := kjson.UnmarshalCaseSensitivePreserveInts(d.buffer, &object); err != nil {
			return nil, err
		}
		list := into(&d.objects)
		*list = append(*list, object)
		return nil, nil
	}}
}

// readStrictly reads an object, and notes which of its fields are not known.
func readStrictly[T any, P partial[T]](into func(*Objects) *[]T) reading {
	return readWith(decodePartly[T, P], into)
}

// readWith reads an object with the decode function of its kind, which is as strict as the kind
// allows.
func readWith[T any](decode func(data []byte) (T, error), into func(*Objects) *[]T) reading {
	return reading{read: func(d *decoder, data []byte) (Unread, error) {
		object, err := decode(data)
		if err != nil {
			return nil, err
		}
		list := into(&d.objects)
		*list = append(*list, object)
		if p, ok := any(object).(interface{ unreadFields() Unread }); ok {
			return p.unreadFields(), nil
		}
		return nil, nil
	}}
}

// Partial is a part of each object that may have fields which are not read.
type Partial struct {
	// Unread lists the paths of these fields, such as spec.ingress[0].http.
	Unread Unread `json:"-"`
}

func (p *Partial) setUnread(u Unread) { p.Unread = u }

func (p Partial) unreadFields() Unread { return p.Unread }

// partial is a pointer to an object with a Partial.
type partial[T any] interface {
	*T
	setUnread(u Unread)
}

// Unread holds the paths of the fields that an object has and the types here do not.
type Unread []string

// Below returns the first path that is at or below another one, or an empty text.
func (u Unread) Below(path string) string {
	for _, field := range u {
		if rest, ok := strings.CutPrefix(field, path); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return field
		}
	}
	return ""
}

// Beside returns the first path that is below none of some others, or an empty text.
func (u Unread) Beside(paths ...string) string {
	for _, field := range u {
		if !slices.ContainsFunc(paths, func(path string) bool { return Unread{field}.Below(path) != "" }) {
			return field
		}
	}
	return ""
}

// String lists the fields.
func (u Unread) String() string {
	all := make([]string, 0, len(u))
	for _, field := range u {
		all = append(all, fmt.Sprintf("unknown field %q", field))
	}
	return strings.Join(all, ", ")
}

func decodePartly[T any, P partial[T]](data []byte) (T, error) {
	var object T
	unread, err := decodeStrict(data, &object)
	P(&object).setUnread(unread)
	return object, err
}

// maxUnread is the number of faults at which UnmarshalStrict stops to count them
// (sigs.k8s.io/json internal/golang/encoding/json/kubernetes_patch.go, saveStrictError).
const maxUnread = 100

// decodeStrict decodes an object, and returns the fields that are unknown. The error names those that
// are written twice. Status and other fields of metadata are ignored, because they decide nothing.
func decodeStrict(data []byte, into any) (Unread, error) {
	faults, err := kjson.UnmarshalStrict(data, into)
	if err != nil {
		return nil, err
	}
	if len(faults) >= maxUnread {
		return nil, fmt.Errorf("%d fields are not known here, or more", maxUnread)
	}
	var unread Unread
	var found []string
	for _, fault := range faults {
		at, ok := errors.AsType[kjson.FieldError](fault)
		switch {
		case !ok || !isUnknownField(fault):
			found = append(found, fault.Error())
		case at.FieldPath() == "status" || strings.HasPrefix(at.FieldPath(), "metadata."):
		default:
			unread = append(unread, at.FieldPath())
		}
	}
	if len(found) > 0 {
		return nil, errors.New(strings.Join(found, ", "))
	}
	return unread, nil
}

// isUnknownField reports whether a fault of UnmarshalStrict is a field that is not known, and not
// one that is there twice. Only their text tells the two apart
// (sigs.k8s.io/json internal/golang/encoding/json/kubernetes_patch.go, unknownStrictErrType).
func isUnknownField(fault error) bool { return strings.HasPrefix(fault.Error(), "unknown field ") }

// decodeFelix reads the two lists of a FelixConfiguration. It has more than a hundred other fields;
// one of them lets other rules decide before Calico's, and is refused.
func decodeFelix(data []byte) (FelixConfiguration, error) {
	var more struct {
		Spec struct {
			ChainInsertMode string `json:"chainInsertMode"`
		} `json:"spec"`
	}
	var object FelixConfiguration
	faults, err := kjson.UnmarshalStrict(data, &object, kjson.DisallowDuplicateFields)
	if err = errors.Join(append(faults, err)...); err != nil {
		return object, err
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &more); err != nil {
		return object, err
	}
	if strings.EqualFold(more.Spec.ChainInsertMode, "append") {
		return object, errors.New("chainInsertMode: Append lets other rules decide before Calico's")
	}
	return object, nil
}

// decodeCalicoPolicy reads a policy strictly, with the labels that it was given.
func decodeCalicoPolicy(data []byte) (p CalicoPolicy, err error) {
	p, err = decodePartly[CalicoPolicy](data)
	p.Metadata = calicoMeta(p.Metadata)
	return p, err
}

// decodeHostEndpoint reads a host endpoint strictly, with the labels that it was given.
func decodeHostEndpoint(data []byte) (h HostEndpoint, err error) {
	h, err = decodePartly[HostEndpoint](data)
	h.Metadata = calicoMeta(h.Metadata)
	return h, err
}

// calicoMeta restores the labels that crd.projectcalico.org/v1 keeps in an annotation. Policies
// select host endpoints by them (projectcalico/calico libcalico-go/lib/backend/k8s/resources).
func calicoMeta(m ObjectMeta) ObjectMeta {
	var kept ObjectMeta
	if text := m.Annotations["projectcalico.org/metadata"]; text != "" && json.Unmarshal([]byte(text), &kept) == nil && len(m.Labels) == 0 {
		m.Labels = kept.Labels
	}
	return m
}
