package kube

import (
	"encoding/json"
	"errors"
	"strings"

	kjson "sigs.k8s.io/json"
)

// readSome reads some fields of an object, and ignores the others.
func readSome[T any](kept keep, into func(*Objects) *[]T) reading {
	return reading{lenient: true, read: func(d *decoder, data []byte) error {
		var err error
		if d.buffer, err = prune(d.buffer[:0], data, kept); err != nil {
			return err
		}
		var object T
		if err := kjson.UnmarshalCaseSensitivePreserveInts(d.buffer, &object); err != nil {
			return err
		}
		list := into(&d.objects)
		*list = append(*list, object)
		return nil
	}}
}

// readStrictly reads an object whose fields must all be known.
func readStrictly[T any](into func(*Objects) *[]T) reading {
	return readWith(func(data []byte) (T, error) {
		var object T
		err := decodeStrict(data, &object)
		return object, err
	}, into)
}

// readWith reads an object with the decode function of its kind, which is as strict as the kind
// allows.
func readWith[T any](decode func(data []byte) (T, error), into func(*Objects) *[]T) reading {
	return reading{read: func(d *decoder, data []byte) error {
		object, err := decode(data)
		if err != nil {
			return err
		}
		list := into(&d.objects)
		*list = append(*list, object)
		return nil
	}}
}

// decodeStrict decodes an object. The error names the fields that are unknown or written twice. Status and
// other fields of metadata are ignored, because they decide nothing.
func decodeStrict(data []byte, into any) error {
	faults, err := kjson.UnmarshalStrict(data, into)
	if err != nil {
		return err
	}
	var found []string
	for _, fault := range faults {
		path := ""
		if at, ok := errors.AsType[kjson.FieldError](fault); ok {
			path = at.FieldPath()
		}
		if isUnknownField(fault) && (path == "status" || strings.HasPrefix(path, "metadata.")) {
			continue
		}
		found = append(found, fault.Error())
	}
	if len(found) > 0 {
		return errors.New(strings.Join(found, ", "))
	}
	return nil
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
	err = decodeStrict(data, &p)
	p.Metadata = calicoMeta(p.Metadata)
	return p, err
}

// decodeHostEndpoint reads a host endpoint strictly, with the labels that it was given.
func decodeHostEndpoint(data []byte) (h HostEndpoint, err error) {
	err = decodeStrict(data, &h)
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
