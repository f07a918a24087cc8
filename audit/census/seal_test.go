package census_test

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdsec/etcdsec/audit/census"
)

// encryptedObject is what KMS v2 stores, in the order in which kube-apiserver writes it.
func encryptedObject(keyID string, data []byte) []byte {
	var b []byte
	b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), data)
	b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), keyID)
	b = protowire.AppendString(protowire.AppendTag(b, 3, protowire.BytesType), "wrapped")
	entry := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "a.example.com")
	b = protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), entry)
	return protowire.AppendVarint(protowire.AppendTag(b, 5, protowire.VarintType), 1)
}

func TestClassify(t *testing.T) {
	text := func(n int) string { return strings.Repeat("\xa5", n) }
	kmsv2 := string(encryptedObject("kek-7", []byte("data")))
	for _, c := range []struct {
		name, value string
		form        census.Form
		provider    census.Provider
		key, keyID  string
		encoding    census.Encoding
	}{
		{name: "secretbox", value: "k8s:enc:secretbox:v1:k-1:" + text(41), form: census.Encrypted, provider: census.Secretbox, key: "k-1"},
		{name: "aesgcm", value: "k8s:enc:aesgcm:v1:k:" + text(28), form: census.Encrypted, provider: census.AESGCM, key: "k"},
		{name: "aescbc", value: "k8s:enc:aescbc:v1:key 1:" + text(48), form: census.Encrypted, provider: census.AESCBC, key: "key 1"},
		{name: "kms v1", value: "k8s:enc:kms:v1:vault:\x00\x03abc" + text(9), form: census.Encrypted, provider: census.KMSv1, key: "vault"},
		{name: "kms v2", value: "k8s:enc:kms:v2:cloud:" + kmsv2, form: census.Encrypted, provider: census.KMSv2, key: "cloud", keyID: "kek-7"},
		{name: "a colon in the ciphertext", value: "k8s:enc:secretbox:v1:k:" + text(20) + ":" + text(30), form: census.Encrypted, provider: census.Secretbox, key: "k"},

		{name: "protobuf", value: "k8s\x00\x0a", form: census.Plaintext, encoding: census.Protobuf},
		{name: "JSON", value: `{"kind":"Foo"}`, form: census.Plaintext, encoding: census.JSON},
		{name: "CBOR", value: "\xd9\xd9\xf7\xa1", form: census.Plaintext, encoding: census.CBOR},
		{name: "empty", form: census.Plaintext, encoding: census.Other},
		{name: "a number", value: "42", form: census.Plaintext, encoding: census.Other},
		{name: "almost the prefix", value: "k8s:end:", form: census.Plaintext, encoding: census.Other},

		{name: "the prefix alone", value: "k8s:enc:"},
		{name: "unknown provider", value: "k8s:enc:rot13:v1:k:" + text(50)},
		{name: "unknown version", value: "k8s:enc:secretbox:v2:k:" + text(50)},
		{name: "no name", value: "k8s:enc:aesgcm:v1::" + text(50), provider: census.AESGCM},
		{name: "the name does not end", value: "k8s:enc:aesgcm:v1:" + strings.Repeat("k", 600) + ":" + text(50), provider: census.AESGCM},
		{name: "a name that is no text", value: "k8s:enc:aesgcm:v1:a\nb:" + text(50), provider: census.AESGCM},
		{name: "cut before the end of the tag", value: "k8s:enc:secretbox:v1:k:" + text(39), provider: census.Secretbox, key: "k"},
		{name: "half a block", value: "k8s:enc:aescbc:v1:k:" + text(40), provider: census.AESCBC, key: "k"},
		{name: "kms v1 without data", value: "k8s:enc:kms:v1:p:\x00\x03abc", provider: census.KMSv1, key: "p"},
		{name: "kms v1 with a length that is too long", value: "k8s:enc:kms:v1:p:\xff\xff" + text(50), provider: census.KMSv1, key: "p"},
		{name: "kms v2 that is cut", value: "k8s:enc:kms:v2:p:" + kmsv2[:len(kmsv2)-1], provider: census.KMSv2, key: "p"},
		{name: "kms v2 without a key ID", value: "k8s:enc:kms:v2:p:\x0a\x01x", provider: census.KMSv2, key: "p"},
		{name: "kms v2 with a key ID that is too long", value: "k8s:enc:kms:v2:p:" + string(encryptedObject(strings.Repeat("i", 1025), []byte("x"))), provider: census.KMSv2, key: "p"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := census.Classify([]byte(c.value))
			if s.Form != c.form || s.Provider != c.provider || string(s.Key) != c.key || string(s.KeyID) != c.keyID || s.Encoding != c.encoding {
				t.Errorf("got form %d, provider %q, key %q, key ID %q, encoding %q", s.Form, s.Provider, s.Key, s.KeyID, s.Encoding)
			}
			if encrypted := s.Form == census.Encrypted; encrypted != (len(s.Sealed) > 0) || !bytes.HasSuffix([]byte(c.value), s.Sealed) {
				t.Errorf("the ciphertext is %q", s.Sealed)
			}
		})
	}
}

func TestClassifyAllocatesNothing(t *testing.T) {
	values := [][]byte{
		[]byte("k8s:enc:secretbox:v1:k-1:" + strings.Repeat("x", 100)),
		append([]byte("k8s:enc:kms:v2:cloud:"), encryptedObject("kek-7", []byte("data"))...),
		[]byte("k8s\x00"),
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, v := range values {
			census.Classify(v)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzClassify(f *testing.F) {
	for _, seed := range []string{
		"k8s:enc:secretbox:v1:k-1:" + strings.Repeat("x", 100), "k8s:enc:kms:v1:p:\x00\x01ab", "k8s\x00", "{}", "k8s:enc:aescbc:v1:a:b:" + strings.Repeat("x", 48),
		"k8s:enc:kms:v2:cloud:" + string(encryptedObject("kek-7", []byte("data"))), "k8s:enc:kms:v2:p:\x0a\xff\xff\xff\xff\x0f", "k8s:enc:kms:v2:p:\x13\x13\x14\x14",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		s := census.Classify(value)
		if s.Form == census.Encrypted {
			// What is accepted names its writer, and is the value again when it is put together.
			version := map[census.Provider]string{census.KMSv1: "kms:v1", census.KMSv2: "kms:v2"}[s.Provider]
			if version == "" {
				version = string(s.Provider) + ":v1"
			}
			if whole := "k8s:enc:" + version + ":" + string(s.Key) + ":" + string(s.Sealed); whole != string(value) {
				t.Errorf("%q became %q", value, whole)
			}
			if (s.Provider == census.KMSv2) != (len(s.KeyID) > 0) || !bytes.Contains(s.Sealed, s.KeyID) {
				t.Errorf("key ID %q", s.KeyID)
			}
		}
		if s.Form == census.Plaintext && bytes.HasPrefix(value, []byte("k8s:enc:")) {
			t.Errorf("%q is plaintext", value)
		}
	})
}
