package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// The attribute of a CSR that crypto/x509 reads (RFC 2986, 4.1; RFC 2985, 5.4.2).
const oidExtensionRequest = "1.2.840.113549.1.9.14"

// attributeNames returns the names of attributes that programs put into requests.
func attributeNames() map[string]string {
	return map[string]string{
		"1.2.840.113549.1.9.2":   "an unstructured name",                                                 // RFC 2985, 5.4.6; openssl req asks for it as "an optional company name"
		"1.2.840.113549.1.9.7":   "a challenge password, a secret that whoever reads the request learns", // RFC 2985, 5.4.1
		"1.3.6.1.4.1.311.2.1.14": "extensions in Microsoft's attribute",                                  // szOID_CERT_EXTENSIONS
		"1.3.6.1.4.1.311.13.2.1": "Microsoft's enrollment names and values",
		"1.3.6.1.4.1.311.13.2.2": "Microsoft's enrollment CSP",
		"1.3.6.1.4.1.311.13.2.3": "Microsoft's OS version",
		"1.3.6.1.4.1.311.20.2":   "Microsoft's certificate template",
		"1.3.6.1.4.1.311.21.20":  "Microsoft's client information",
		"1.3.6.1.4.1.311.13.1":   "the renewal of another certificate",
	}
}

// checkAttributes refuses everything in a CSR that crypto/x509 passes over: other attributes, a second
// list of extensions, and parts behind those that the standard knows. What nobody looked at would
// otherwise be signed for, as far as its maker can tell.
func checkAttributes(csr *x509.CertificateRequest) []error {
	outer, err := splitSequence(csr.Raw)
	if err != nil || len(outer) != 3 {
		return []error{errors.New("it has parts beside the request, its signature and the signature's algorithm")}
	}
	inner, err := splitSequence(csr.RawTBSCertificateRequest)
	if err != nil || len(inner) < 3 || len(inner) > 4 {
		return []error{errors.New("it has parts beside a version, a subject, a key and attributes")}
	}
	if len(inner) == 3 {
		return nil // some programs leave out the attributes if there are none
	}
	attributes, err := splitElements(inner[3].Bytes)
	if err != nil || inner[3].Class != asn1.ClassContextSpecific || inner[3].Tag != 0 {
		return []error{errors.New("its attributes cannot be read")}
	}
	var faults []error
	seen := map[string]bool{}
	for _, raw := range attributes {
		id, values, err := readAttribute(raw)
		name, known := attributeNames()[id]
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("one of its attributes cannot be read: %w", err))
		case seen[id]:
			faults = append(faults, fmt.Errorf("it has the attribute %s twice", id))
		case id == oidExtensionRequest && len(values) == 1:
			faults = append(faults, checkExtensionList(values[0])...)
		case id == oidExtensionRequest:
			faults = append(faults, fmt.Errorf("it has %d lists of extensions, want one", len(values)))
		case known:
			faults = append(faults, fmt.Errorf("it has %s (attribute %s)", name, id))
		default:
			faults = append(faults, fmt.Errorf("it has the attribute %s, which no request for etcd needs", id))
		}
		seen[id] = true
	}
	return faults
}

// readAttribute reads a type and the set of its values.
func readAttribute(raw asn1.RawValue) (id string, values []asn1.RawValue, err error) {
	parts, err := splitSequence(raw.FullBytes)
	if err != nil {
		return "", nil, err
	}
	var oid asn1.ObjectIdentifier
	if len(parts) != 2 || parts[1].Class != asn1.ClassUniversal || parts[1].Tag != asn1.TagSet {
		return "", nil, errors.New("want a type and a set of values")
	}
	if rest, err := asn1.Unmarshal(parts[0].FullBytes, &oid); err != nil || len(rest) > 0 {
		return "", nil, errors.New("its type is no object identifier")
	}
	values, err = splitElements(parts[1].Bytes)
	return oid.String(), values, err
}

// checkExtensionList refuses parts that extensions do not have (RFC 5280, 4.1), such as a second value.
func checkExtensionList(list asn1.RawValue) []error {
	extensions, err := splitSequence(list.FullBytes)
	if err != nil {
		return []error{fmt.Errorf("its extensions cannot be read: %w", err)}
	}
	for _, raw := range extensions {
		if parts, err := splitSequence(raw.FullBytes); err != nil || len(parts) > 3 {
			return []error{errors.New("one of its extensions has parts beside its type, its criticality and its value")}
		}
	}
	return nil
}

// checkUsages refuses the key usages of a CA. All others are the plan's to choose.
func checkUsages(value []byte) []error {
	var usage asn1.BitString
	if rest, err := asn1.Unmarshal(value, &usage); err != nil || len(rest) > 0 {
		return []error{errors.New("its key usage cannot be read")}
	}
	const certSign, crlSign = 5, 6 // RFC 5280, 4.2.1.3
	if usage.At(certSign) != 0 || usage.At(crlSign) != 0 {
		return []error{errors.New("it asks for the key usage of a CA")}
	}
	return nil
}

// checkExtendedUsages refuses usages that the plan does not give the leaf.
func checkExtendedUsages(l Leaf, value []byte) []error {
	var asked []asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(value, &asked); err != nil || len(rest) > 0 {
		return []error{errors.New("its extended key usage cannot be read")}
	}
	var faults []error
	for _, oid := range asked {
		if !slices.ContainsFunc(l.EKUs, func(eku x509.ExtKeyUsage) bool { return eku.OID().EqualASN1OID(oid) }) {
			faults = append(faults, fmt.Errorf("it asks for the extended key usage %s, but %s has %s", oid, l.Name, EKUNames(l.EKUs)))
		}
	}
	return faults
}

// splitSequence returns the elements of a SEQUENCE with nothing behind it.
func splitSequence(der []byte) ([]asn1.RawValue, error) {
	elements, err := splitElements(der)
	if err != nil {
		return nil, err
	}
	if len(elements) != 1 || elements[0].Class != asn1.ClassUniversal || elements[0].Tag != asn1.TagSequence {
		return nil, errors.New("it is no sequence")
	}
	return splitElements(elements[0].Bytes)
}

func splitElements(der []byte) ([]asn1.RawValue, error) {
	var elements []asn1.RawValue
	for len(der) > 0 {
		var element asn1.RawValue
		rest, err := asn1.Unmarshal(der, &element)
		if err != nil {
			return nil, err
		}
		elements, der = append(elements, element), rest
	}
	return elements, nil
}
