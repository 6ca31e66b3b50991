// Makes a repository from a plan with go-tuf's own metadata types: its keys,
// its spelling, its signatures, its idea of which bin holds a path.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

type plan struct {
	ConsistentSnapshot bool                `json:"consistentSnapshot"`
	Expires            time.Time           `json:"expires"`
	Keys               map[string][]string `json:"keys"`
	Listing            string              `json:"listing"`
	Fields             map[string]any      `json:"fields"`
	Roles              []plannedRole       `json:"roles"`
}

type plannedRole struct {
	Name        string              `json:"name"`
	Targets     map[string]string   `json:"targets"`
	Delegations []plannedDelegation `json:"delegations"`
	Succinct    *plannedBins        `json:"succinct"`
}

type plannedDelegation struct {
	Name        string   `json:"name"`
	Keys        []string `json:"keys"`
	Terminating bool     `json:"terminating"`
	Paths       []string `json:"paths"`
	Prefixes    []string `json:"prefixes"`
}

type plannedBins struct {
	Keys      []string          `json:"keys"`
	BitLength int               `json:"bitLength"`
	Prefix    string            `json:"namePrefix"`
	Targets   map[string]string `json:"targets"`
}

// workshop holds what is made on the way: who signs a role, and what the snapshot lists.
type workshop struct {
	plan     plan
	folder   string
	signers  map[string][]signature.Signer
	snapshot *metadata.Metadata[metadata.SnapshotType]
}

func makeRepository(wanted plan, folder string) error {
	shop := workshop{wanted, folder, map[string][]signature.Signer{}, metadata.Snapshot(wanted.Expires)}
	root := metadata.Root(wanted.Expires)
	root.Signed.ConsistentSnapshot = wanted.ConsistentSnapshot
	root.Signed.UnrecognizedFields = wanted.Fields
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		add := func(key *metadata.Key) error { return root.Signed.AddKey(key, role) }
		if err := shop.addKeys(role, wanted.Keys[role], add); err != nil {
			return err
		}
		root.Signed.Roles[role].Threshold = len(wanted.Keys[role])
	}
	for _, role := range wanted.Roles {
		if err := shop.makeTargets(role); err != nil {
			return err
		}
	}
	shop.snapshot.Signed.UnrecognizedFields = wanted.Fields
	bytes, err := seal(shop, "snapshot", shop.snapshot, shop.prefix(1))
	if err != nil {
		return err
	}
	timestamp := metadata.Timestamp(wanted.Expires)
	timestamp.Signed.UnrecognizedFields = wanted.Fields
	timestamp.Signed.Meta["snapshot.json"] = shop.listed(bytes)
	if _, err := seal(shop, "timestamp", timestamp, ""); err != nil {
		return err
	}
	bytes, err = seal(shop, "root", root, "1.")
	if err != nil {
		return err
	}
	return shop.write("root.json", bytes)
}

func (shop workshop) makeTargets(role plannedRole) error {
	made := metadata.Targets(shop.plan.Expires)
	made.Signed.UnrecognizedFields = shop.plan.Fields
	for path, content := range role.Targets {
		if err := shop.addTarget(made, path, content); err != nil {
			return err
		}
	}
	if len(role.Delegations) > 0 || role.Succinct != nil {
		made.Signed.Delegations = &metadata.Delegations{Keys: map[string]*metadata.Key{}}
	}
	add := func(name string) func(*metadata.Key) error {
		return func(key *metadata.Key) error { return made.Signed.AddKey(key, name) }
	}
	for _, wanted := range role.Delegations {
		made.Signed.Delegations.Roles = append(made.Signed.Delegations.Roles, metadata.DelegatedRole{
			Name: wanted.Name, KeyIDs: []string{}, Threshold: len(wanted.Keys),
			Terminating: wanted.Terminating, Paths: wanted.Paths, PathHashPrefixes: wanted.Prefixes,
		})
		if err := shop.addKeys(wanted.Name, wanted.Keys, add(wanted.Name)); err != nil {
			return err
		}
	}
	if bins := role.Succinct; bins != nil {
		succinct := &metadata.SuccinctRoles{KeyIDs: []string{}, Threshold: len(bins.Keys), BitLength: bins.BitLength, NamePrefix: bins.Prefix}
		made.Signed.Delegations.SuccinctRoles = succinct
		if err := shop.addKeys(bins.Prefix, bins.Keys, add("")); err != nil {
			return err
		}
		if err := shop.makeBins(*bins, succinct); err != nil {
			return err
		}
	}
	return shop.putTargets(role.Name, made)
}

// makeBins makes every bin, with each target where go-tuf looks for it.
func (shop workshop) makeBins(bins plannedBins, succinct *metadata.SuccinctRoles) error {
	for _, name := range succinct.GetRoles() {
		bin := metadata.Targets(shop.plan.Expires)
		for path, content := range bins.Targets {
			if succinct.GetRolesForTarget(path)[0].Name != name {
				continue
			}
			if err := shop.addTarget(bin, path, content); err != nil {
				return err
			}
		}
		shop.signers[name] = shop.signers[bins.Prefix]
		if err := shop.putTargets(name, bin); err != nil {
			return err
		}
	}
	return nil
}

func (shop workshop) putTargets(name string, made *metadata.Metadata[metadata.TargetsType]) error {
	bytes, err := seal(shop, name, made, shop.prefix(1))
	if err == nil {
		shop.snapshot.Signed.Meta[name+".json"] = shop.listed(bytes)
	}
	return err
}

func (shop workshop) addTarget(made *metadata.Metadata[metadata.TargetsType], name, content string) error {
	target, err := metadata.TargetFile().FromBytes(name, []byte(content), "sha256", "sha512")
	if err != nil {
		return err
	}
	target.UnrecognizedFields = shop.plan.Fields
	made.Signed.Targets[name] = target
	if !shop.plan.ConsistentSnapshot {
		return shop.write(filepath.Join("targets", name), []byte(content))
	}
	short, long := sha256.Sum256([]byte(content)), sha512.Sum512([]byte(content))
	for _, digest := range [][]byte{short[:], long[:]} {
		folder, file := path.Split(name)
		if err := shop.write(filepath.Join("targets", folder, hex.EncodeToString(digest)+"."+file), []byte(content)); err != nil {
			return err
		}
	}
	return nil
}

func (shop workshop) listed(bytes []byte) *metadata.MetaFiles {
	meta := metadata.MetaFile(1)
	if shop.plan.Listing == "full" {
		digest := sha256.Sum256(bytes)
		meta.Length, meta.Hashes = int64(len(bytes)), metadata.Hashes{"sha256": digest[:]}
	}
	return meta
}

func (shop workshop) prefix(version int) string {
	if shop.plan.ConsistentSnapshot {
		return fmt.Sprintf("%d.", version)
	}
	return ""
}

func seal[T metadata.Roles](shop workshop, role string, made *metadata.Metadata[T], prefix string) ([]byte, error) {
	for _, signer := range shop.signers[role] {
		if _, err := made.Sign(signer); err != nil {
			return nil, err
		}
	}
	bytes, err := made.ToBytes(true)
	if err != nil {
		return nil, err
	}
	return bytes, shop.write(filepath.Join("metadata", prefix+url.PathEscape(role)+".json"), bytes)
}

func (shop workshop) write(name string, bytes []byte) error {
	file := filepath.Join(shop.folder, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, bytes, 0o644)
}

// addKeys makes a role's keys.
func (shop workshop) addKeys(role string, kinds []string, add func(*metadata.Key) error) error {
	for _, kind := range kinds {
		private, err := generate(kind)
		if err != nil {
			return err
		}
		signer, err := signerOf(private)
		if err != nil {
			return err
		}
		public, err := signer.PublicKey()
		if err != nil {
			return err
		}
		key, err := metadata.KeyFromPublicKey(public)
		if err != nil {
			return err
		}
		if err := add(key); err != nil {
			return err
		}
		shop.signers[role] = append(shop.signers[role], signer)
	}
	return nil
}

func generate(kind string) (crypto.PrivateKey, error) {
	switch kind {
	case "ed25519":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case "ecdsa":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, fmt.Errorf("there is no kind of key %s", kind)
}

func signerOf(private crypto.PrivateKey) (signature.Signer, error) {
	if key, ok := private.(*rsa.PrivateKey); ok {
		return signature.LoadRSAPSSSigner(key, crypto.SHA256, nil)
	}
	if key, ok := private.(ed25519.PrivateKey); ok {
		return signature.LoadED25519Signer(key)
	}
	return signature.LoadSigner(private, crypto.SHA256)
}
