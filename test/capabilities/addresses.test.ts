import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalAddress, isGranted, kindOf, readAddressGrant } from '../../runtime/capabilities/addresses.ts'

const kinds = {
  public: [
    '1.1.1.1',
    '8.8.8.8',
    '172.32.0.1',
    '192.169.0.1',
    '100.128.0.1',
    '2606:4700::1',
    '::ffff:8.8.8.8',
    '64:ff9b::8.8.8.8',
    '2002:808:808::1',
  ],
  private: [
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    'fc00::1',
    'fd12::1',
    '::ffff:10.0.0.1',
  ],
  loopback: ['127.0.0.1', '127.255.255.255', '::1', '::ffff:7f00:1'],
  reserved: [
    '192.0.0.1',
    '192.0.2.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '2001:db8::1',
    '100::1',
    '4000::1',
    'fec0::1',
  ],
  never: [
    '0.0.0.0',
    '0.1.2.3',
    '169.254.169.254',
    '169.254.1.1',
    '168.63.129.16',
    '100.100.100.200',
    'fd00:ec2::254',
    '::ffff:169.254.169.254',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    'fe80::1',
    'ff02::1',
    // An IPv4 address hidden in one of the forms that C30 names.
    '::127.0.0.1',
    '::8.8.8.8',
    '::ffff:0:127.0.0.1',
    '64:ff9b::127.0.0.1',
    '64:ff9b::10.0.0.1',
    '64:ff9b:1::7f00:1',
    '64:ff9b:1::808:808',
    '2002:7f00:1::',
    '2002:a00:1::1',
    '2001:0:7f00:1::1',
    '2001:0:808:808:0:0:80ff:fffe',
    '2606:4700::5efe:7f00:1',
    // What is no address.
    '',
    'localhost',
    '127.1',
    '0x7f.1',
    '2130706433',
    'fe80::1%eth0',
    '1.2.3.4.5',
  ],
} as const

for (const [kind, addresses] of Object.entries(kinds)) {
  for (const address of addresses)
    test(`C30: ${address || 'nothing'} is ${kind}`, () => assert.equal(kindOf(address), kind))
}

const grants: [string[], string[], string[]][] = [
  [['public'], ['8.8.8.8'], ['10.0.0.1', '127.0.0.1', '192.0.2.1', '169.254.169.254']],
  [['private'], ['10.0.0.1', 'fd12::1'], ['8.8.8.8', '127.0.0.1', '100.100.100.200']],
  [['loopback'], ['127.0.0.1', '::1', '::ffff:127.0.0.1'], ['10.0.0.1', '64:ff9b::127.0.0.1']],
  [['10.1.0.0/16'], ['10.1.2.3', '::ffff:10.1.2.3'], ['10.2.0.1', '8.8.8.8', '64:ff9b::10.1.2.3']],
  [['169.254.0.0/16', '0.0.0.0/1'], ['10.0.0.1'], ['169.254.169.254', '0.0.0.0', '192.168.0.1']],
  [['fd12::/16'], ['fd12::5'], ['fd13::5', 'fd00:ec2::254']],
  [[], [], ['8.8.8.8', '127.0.0.1']],
]
for (const [entries, allowed, refused] of grants) {
  test(`addresses [${entries.join(', ')}] allow what they say and nothing else`, () => {
    const problems: string[] = []
    const grant = readAddressGrant(entries, problems)
    assert.deepEqual(problems, [])
    for (const address of allowed) assert.equal(isGranted(address, grant), true, address)
    for (const address of refused) assert.equal(isGranted(address, grant), false, address)
  })
}

test('what is no grant of addresses is named', () => {
  for (const entry of ['internal', '10.0.0.1', '10.0.0.0/33', '0.0.0.0/0', '::/0', '']) {
    const problems: string[] = []
    readAddressGrant([entry], problems)
    assert.equal(problems.length, 1, entry)
    assert.ok(problems[0]?.includes(`"${entry}"`))
  }
})

test('one address has one spelling', () => {
  assert.equal(canonicalAddress('::ffff:7f00:1'), '127.0.0.1')
  assert.equal(canonicalAddress('0:0:0:0:0:0:0:1'), '::1')
  assert.equal(canonicalAddress('name'), 'name')
})
