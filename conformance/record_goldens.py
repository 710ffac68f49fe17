#!/usr/bin/env python3
"""Records what Swift answers to the scripts in src/scripts.

Needs a Python that has swift==2.38.3, nothing else:

    python3 record_goldens.py            # record every script again
    python3 record_goldens.py --check    # fail if Swift answers otherwise than recorded

A script is text. Lines that begin with '> ' are commands, the lines below a
command are its answer, '#' begins a comment. Scripts whose first line says
"generated" are made by this file, from fixed seeds; the others are written by
hand and only their answers are replaced.

Two kinds of question are kept out, because engines decide them otherwise than
Swift (see COMPAT.md): path listings that lose neighbours (QUIRK-6), and
prefixes or delimiters that end in U+10FFFF or U+D7FF (QUIRK-7).
"""
import json
import os
import random
import re
import shutil
import sys
import tempfile

import swift
from swift.account.backend import AccountBroker
from swift.common.db import DatabaseAlreadyExists
from swift.common.swob import HTTPException
from swift.common.utils import NormalTimestamp, Timestamp
from swift.container.backend import ContainerBroker

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'src', 'scripts')
VERSION = '2.38.3'
TOKEN = re.compile(r'(\w+)(?:=("(?:[^"\\]|\\.)*"|\S+))?')


class Clock(object):
    now = '0000000001.00000'


NormalTimestamp.now = classmethod(lambda cls, *a, **kw: cls(Clock.now))


def ts(n, offset=0):
    """Internal text of n units of ten microseconds."""
    return Timestamp(n / 100000., offset=offset).internal


def quote(text):
    return json.dumps(text)


def yes(value):
    return 'yes' if value else 'no'


class Player(object):
    """Plays one script to Swift's brokers."""

    def __init__(self, root):
        self.root = root
        self.count = 0
        self.broker = None
        self.is_account = None
        self.items = []

    def play(self, line):
        command, args = parse(line)
        return getattr(self, 'do_' + command)(args) or []

    # making stores

    def path(self, kind):
        self.count += 1
        hash_ = '%032x' % self.count
        return os.path.join(self.root, 'sda', kind, '7', hash_[-3:], hash_, hash_ + '.db')

    def do_container(self, args):
        Clock.now = '0000000001.00000'
        self.items = []
        self.is_account = False
        self.broker = ContainerBroker(self.path('containers'), account='AUTH_test', container='c')
        self.broker.initialize(args['put'], int(args.get('policy', 0)))

    def do_account(self, args):
        Clock.now = '0000000001.00000'
        self.items = []
        self.is_account = True
        self.broker = AccountBroker(self.path('accounts'), account='AUTH_test')
        self.broker.initialize(args['put'])

    def do_initialize_again(self, args):
        try:
            self.broker.initialize(args['put'], int(args.get('policy', 0)))
        except DatabaseAlreadyExists:
            return ['existed']
        return ['created']

    # records

    def object_item(self, args):
        item = {
            'name': args['name'], 'created_at': args['at'], 'size': int(args.get('size', 0)),
            'content_type': args.get('type', 'text/plain'), 'etag': args.get('etag', 'e'),
            'deleted': int(args.get('deleted', 0)),
            'storage_policy_index': int(args.get('policy', 0)),
            'ctype_timestamp': args.get('ctype'), 'meta_timestamp': args.get('meta'),
        }
        if 'row' in args:
            item['ROWID'] = int(args['row'])
        return item

    def container_item(self, args):
        item = {
            'name': args['name'], 'put_timestamp': args.get('put'),
            'delete_timestamp': args.get('delete'),
            'object_count': int(args['count']) if 'count' in args else None,
            'bytes_used': int(args['bytes']) if 'bytes' in args else None,
            'deleted': int(args.get('deleted', 0)),
            'storage_policy_index': int(args.get('policy', 0)),
        }
        if 'row' in args:
            item['ROWID'] = int(args['row'])
        return item

    def do_item(self, args):
        make = self.container_item if self.is_account else self.object_item
        self.items.append(make(args))

    def do_merge(self, args):
        items, self.items = self.items, []
        try:
            self.broker.merge_items(items, source=args.get('source'))
        except (ValueError, KeyError, IndexError, TypeError):
            return ['refused']

    def do_put(self, args):
        if self.is_account:
            self.broker.put_container(args['name'], args['put'], args['delete'],
                                      int(args['count']), int(args['bytes']),
                                      int(args.get('policy', 0)))
            return
        item = self.object_item(args)
        self.broker.put_object(
            item['name'], item['created_at'], item['size'], item['content_type'], item['etag'],
            item['deleted'], item['storage_policy_index'],
            ctype_timestamp=item['ctype_timestamp'], meta_timestamp=item['meta_timestamp'])

    def do_remove(self, args):
        max_row = int(args['max_row']) if 'max_row' in args else None
        self.broker.remove_objects(args.get('lower', ''), args.get('upper', ''), max_row)

    # questions

    def row(self, row):
        if self.is_account:
            return '%d %s put=%s delete=%s count=%d bytes=%d deleted=%d policy=%d' % (
                row['ROWID'], quote(row['name']), row['put_timestamp'], row['delete_timestamp'],
                row['object_count'], row['bytes_used'], row['deleted'],
                row['storage_policy_index'])
        return '%d %s at=%s size=%d type=%s etag=%s deleted=%d policy=%d' % (
            row['ROWID'], quote(row['name']), row['created_at'], row['size'],
            quote(row['content_type']), quote(row['etag']), row['deleted'],
            row['storage_policy_index'])

    def do_rows(self, args):
        since, limit = int(args.get('since', -1)), int(args.get('limit', 1000000))
        ask = self.broker.get_items_since
        if 'misplaced' in args:
            ask = self.broker.get_misplaced_since
        return [self.row(row) for row in ask(since, limit)]

    def do_info(self, args):
        info = self.broker.get_info()
        age = args.get('age')
        stats = self.broker.get_policy_stats()
        lines = ['put=%s delete=%s changed=%s created=%s max_row=%d hash=%s' % (
            info['put_timestamp'], info['delete_timestamp'], info['status_changed_at'],
            info['created_at'], self.broker.get_max_row(), info['hash'])]
        if self.is_account:
            lines.append('containers=%d objects=%d bytes=%d' % (
                info['container_count'], info['object_count'], info['bytes_used']))
            lines.append(' '.join(['policies'] + [
                '%d:%d/%d/%d' % (index, stat['container_count'], stat['object_count'],
                                 stat['bytes_used']) for index, stat in sorted(stats.items())]))
            words = [('status_deleted', self.broker.is_status_deleted())]
        else:
            lines.append('policy=%d objects=%d bytes=%d status=%s sync1=%d sync2=%d' % (
                info['storage_policy_index'], info['object_count'], info['bytes_used'],
                quote(info['status']), info['x_container_sync_point1'],
                info['x_container_sync_point2']))
            lines.append('reported put=%s delete=%s objects=%d bytes=%d reconciler=%d' % (
                info['reported_put_timestamp'], info['reported_delete_timestamp'],
                info['reported_object_count'], info['reported_bytes_used'],
                self.broker.get_reconciler_sync()))
            lines.append(' '.join(['policies'] + [
                '%d:%d/%d' % (index, stat['object_count'], stat['bytes_used'])
                for index, stat in sorted(stats.items())]))
            words = []
        words += [('deleted', self.broker.is_deleted()), ('empty', self.broker.empty())]
        if age is not None:
            words.append(('reclaimable', self.broker.is_reclaimable(float(age), 0)))
        lines.append(' '.join('%s=%s' % (word, yes(value)) for word, value in words))
        return lines

    def listing(self, args):
        limit = int(args.get('limit', 10000))
        common = [limit, args.get('marker', ''), args.get('end_marker', ''),
                  args.get('prefix', ''), args.get('delimiter', '')]
        options = {'reverse': 'reverse' in args, 'allow_reserved': 'reserved' in args}
        if self.is_account:
            return [('row' if not is_subdir else 'subdir', name, rest) for name, *rest, is_subdir in
                    self.broker.list_containers_iter(*common, **options)]
        deleted = {'live': False, 'tombstones': True, 'both': None}[args.get('deleted', 'live')]
        policy = int(args.get('policy', self.broker.storage_policy_index))
        rows = self.broker.list_objects_iter(
            *common, path=args.get('path'), storage_policy_index=policy,
            include_deleted=deleted, since_row=int(args['since']) if 'since' in args else None,
            all_policies='all_policies' in args, **options)
        # A row without content type is a subdir.
        return [('subdir' if row[3] is None else 'row', row[0], row[1:]) for row in rows]

    def do_names(self, args):
        names = [('+' if kind == 'subdir' else '') + quote(name)
                 for kind, name, rest in self.listing(args)]
        return [' '.join(names) or '(none)']

    def do_list(self, args):
        lines = []
        for kind, name, rest in self.listing(args):
            if kind == 'subdir':
                lines.append('subdir %s' % quote(name))
            elif self.is_account:
                count, size, put, policy = rest
                lines.append('row %s put=%s count=%d bytes=%d policy=%d' % (
                    quote(name), put, count, size, policy))
            else:
                at, size, type_, etag = rest
                lines.append('row %s modified=%s size=%d type=%s etag=%s' % (
                    quote(name), at, size, quote(type_), quote(etag)))
        return lines or ['(none)']

    # the store as a whole

    def do_delete(self, args):
        self.broker.delete_db(args['at'])

    def do_put_timestamp(self, args):
        self.broker.update_put_timestamp(args['at'])

    def do_status_changed_at(self, args):
        self.broker.update_status_changed_at(args['at'])

    def do_merge_timestamps(self, args):
        Clock.now = args['now']
        self.broker.merge_timestamps(args['created'], args['put'], args['delete'])

    def do_metadata(self, args):
        try:
            self.broker.update_metadata({args['key']: (args['value'], args['at'])},
                                        validate_metadata='validate' in args)
        except HTTPException as err:
            body = err.body
            return ['refused %s' % quote(body.decode() if isinstance(body, bytes) else body)]

    def do_show_metadata(self, args):
        return [self.broker.get_raw_metadata() or '(none)']

    def do_set_policy(self, args):
        self.broker.set_storage_policy_index(int(args['index']), args['at'])

    def do_report(self, args):
        self.broker.reported(args['put'], args['delete'], int(args['count']), int(args['bytes']))

    def do_marks(self, args):
        if 'sync1' in args or 'sync2' in args:
            points = [int(args[key]) if key in args else None for key in ('sync1', 'sync2')]
            self.broker.set_x_container_sync_points(*points)
        if 'reconciler' in args:
            self.broker.update_reconciler_sync(int(args['reconciler']))

    def do_sync(self, args):
        self.broker.merge_syncs([{'remote_id': args['id'], 'sync_point': int(args['point'])}],
                                incoming='outgoing' not in args)

    def do_syncs(self, args):
        # Swift's newid moves an entry to the end; nobody relies on the order.
        syncs = sorted(self.broker.get_syncs(incoming='outgoing' not in args),
                       key=lambda sync: sync['remote_id'])
        return [' '.join('%s=%d' % (sync['remote_id'], sync['sync_point'])
                         for sync in syncs) or '(none)']

    def do_newid(self, args):
        self.broker.newid(args['remote'])

    def do_reclaim(self, args):
        before = self.broker.get_items_since(-1, 1000000)
        count = sum(1 for row in before if row['deleted'])
        reclaimer = self.broker.reclaim(args['age'], args['sync_age'])
        left = reclaimer.get_tombstone_count()
        return ['removed=%d left=%d' % (count - left, left)]


def parse(line):
    words = TOKEN.findall(line)
    args = {}
    for key, value in words[1:]:
        args[key] = json.loads(value) if value.startswith('"') else value
    return words[0][0], args


def record(commands):
    """Answers of Swift below each command; other lines stay."""
    root = tempfile.mkdtemp(prefix='record-goldens-')
    player = Player(root)
    out = []
    try:
        for line in commands:
            out.append(line)
            if line.startswith('> '):
                out.extend(player.play(line[2:]))
    finally:
        shutil.rmtree(root)
    return '\n'.join(out) + '\n'


def commands_of(text):
    """A recorded script without its answers."""
    keep = [line for line in text.splitlines()
            if not line or line.startswith(('> ', '#'))]
    return keep


# Generated scripts

def arg(key, value):
    return '%s=%s' % (key, quote(value) if isinstance(value, str) else value)


def command(word, flags=(), **args):
    parts = [word] + [arg(key, value) for key, value in args.items() if value is not None]
    return '> ' + ' '.join(parts + list(flags))


HOSTILE = [
    'a', 'a/', 'a/b', 'a/b/c', 'a//b', 'a//', '/', '//', '/a', 'a0', 'a-', 'a.', 'a b', ' ', ' a',
    'A', 'Z', 'z', '0', '00', '10', '9', '%2F', '%', '+', '&', '"', '\\', "'", '\n', '\t', 'a\r\nb',
    'e\u0301', '\u00e9', '\u2603', '\ud7ff', '\ue000', '\ufffd', '\uffff', '\U00010000', '\U0010ffff',
    'a\U0010ffff', 'a\U0010ffffb', '\U0001f600/x', '\u2603/1', '\u2603/2', '\u2603\u2603/1', '\x01',
    '\x01/x', '\x7f', '\x80', 'a\x00b', 'a/\x00', 'a/\x00b', 'p/q/r', 'p/q/s', 'p/qq', 'p/', 'p0', 'p',
    'topdir1/subdir1.0/obj1', 'topdir1/subdir1.1/obj1', 'topdir1/subdir1/obj1', 'topdir1/subdir10',
    'topdir1/subdir10/obj1', '--q', '-r', 'a--', 'a---c', 'a--b', 'a-.x', 'a-d', 'x-', 'x--y--z',
    'null', 'None', "'; DROP TABLE object; --", '*', '?', '[a-z]', 'a_b', 'a%b', '..', '.', '../x',
]
RESERVED = ['\x00a', '\x00b', '\x00', '\x00\x00', '\x00a/1', '\x00a/2', 'a\x00b', '\x01c', 'a']
DELIMITERS = ['/', '/', '/', '-', '--', '//', 'a', '\u2603', '\x00', ' ', '\u00e9', '\U00010000', '/q/']


def bad_end(text):
    """QUIRK-7."""
    return text is not None and text[-1:] in ('\U0010ffff', '\ud7ff')


def some_text(rng, names):
    name = rng.choice(names)
    return rng.choice([name, name, name[:rng.randrange(len(name) + 1)],
                       name + rng.choice(['', '/', '0', 'z', '\x01']), rng.choice(DELIMITERS)])


def query(rng, names, delimiters):
    args, flags = {}, []
    if rng.random() < .5:
        args['marker'] = some_text(rng, names)
    if rng.random() < .4:
        args['end_marker'] = some_text(rng, names)
    if rng.random() < .5:
        args['prefix'] = some_text(rng, names)
    if delimiters and rng.random() < .8:
        args['delimiter'] = rng.choice(delimiters)
    if rng.random() < .3:
        args['limit'] = rng.choice([0, 1, 1, 2, 3, 5])
    if rng.random() < .4:
        flags.append('reverse')
    if rng.random() < .25:
        flags.append('reserved')
    if bad_end(args.get('prefix')) or bad_end(args.get('delimiter')):
        return query(rng, names, delimiters)
    return command('names', flags, **args)


def encodable(names):
    return [name for name in names if not any('\ud800' <= c <= '\udfff' for c in name)]


def shuffled(rng, names):
    """An order that depends on the seed alone: sets have another one in every run."""
    return rng.sample(sorted(names), len(names))


def put_names(names, is_account=False):
    lines = []
    for number, name in enumerate(names):
        if is_account:
            lines.append(command('item', name=name, put=ts(500000 + number), delete='0',
                                 count=number, bytes=number * 10, policy=number % 3))
        else:
            lines.append(command('item', name=name, at=ts(500000 + number), size=number))
    return lines + ['> merge']


def gen_listing(seed, count, delimiters, pool, is_account=False):
    rng = random.Random(seed)
    names = encodable(pool)
    lines = []
    for store in range(4):
        chosen = rng.sample(names, min(len(names), rng.choice([8, 20, len(names)])))
        lines += ['', '> account put="1"' if is_account else '> container put="1"']
        lines += put_names(chosen, is_account)
        lines += [query(rng, chosen, delimiters) for _ in range(count // 4)]
    return lines


def gen_listing_random_trees(seed, count):
    rng = random.Random(seed)
    lines = []
    for store in range(6):
        alphabet = rng.choice(['ab/', 'ab//', 'a/-', 'a-', '/\u2603b', 'ab/\x7f\u00e9'])
        names = shuffled(rng, {''.join(rng.choice(alphabet) for _ in range(rng.randrange(1, 6)))
                               for _ in range(40)})
        lines += ['', '> container put="1"'] + put_names(names)
        lines += [query(rng, names, ['/', '/', '//', '-', 'a', 'ab']) for _ in range(count // 6)]
    return lines


def gen_paths(seed, count):
    """Names of which Swift's path listing loses none: no '0', and in reverse no trailing '/'."""
    rng = random.Random(seed)
    lines = []
    for reverse in (False, True):
        names = {'/'.join(rng.choice(['a', 'b', 'cc', '\u2603', '', '1.5']) for _ in
                          range(rng.randrange(1, 5))) for _ in range(60)} - {''}
        if reverse:
            names = {name.rstrip('/') for name in names} - {''}
        names = shuffled(rng, names)
        lines += ['', '> container put="1"'] + put_names(names)
        for _ in range(count // 2):
            path = rng.choice(['', '/', rng.choice(names), rng.choice(names).rpartition('/')[0],
                               rng.choice(names) + '//'])
            args = {'path': path}
            if rng.random() < .3:
                args['marker'] = some_text(rng, names).replace('0', '1')
            if rng.random() < .2:
                args['end_marker'] = some_text(rng, names).replace('0', '1')
            if rng.random() < .3:
                args['limit'] = rng.choice([1, 2, 5])
            lines.append(command('names', ['reverse'] if reverse else [], **args))
    return lines


def gen_rows(seed):
    rng = random.Random(seed)
    lines = ['', '> container put="1" policy=1']
    for number in range(60):
        lines.append(random_object(rng, ['a', 'b', 'c/1', 'c/2', 'd'], policies=[0, 1, 1, 1, 2]))
        lines.append('> merge')
    for _ in range(120):
        args, flags = {}, []
        if rng.random() < .4:
            args['policy'] = rng.choice([0, 1, 2, 3])
        args['deleted'] = rng.choice(['live', 'live', 'tombstones', 'both'])
        if rng.random() < .4:
            args['since'] = rng.choice([0, 1, 5, 20, 40, 100])
        if rng.random() < .3:
            args['delimiter'] = '/'
        if rng.random() < .3:
            flags.append('reverse')
        if rng.random() < .3:
            args['limit'] = rng.choice([1, 2, 3])
        lines.append(command('list', flags, **args))
    return lines


TYPES = [
    'text/plain', 'text/html', 'a', '', 'text/plain;swift_bytes=7', 'text/x;swift_bytes=',
    'text/plain; charset=UTF-8; swift_bytes=7; x', 'a;b="q;r";swift_bytes=1;swift_bytes=2',
    'a ; b = c ;; d', 'a;b=', 'a;"', 'x;swift_bytes=3;y=z', 'a;b="unterminated',
    'a;\u00e9=1;c=2', 'a;b="x\\"y";c', 'multipart/mixed; boundary=a/b', 'a;(c)=d;e',
    ';swift_bytes=5', 'a;b==c', 'a;b\\c=d', 'a;b=c/d;e', 'a; \u00a0b=c', 'a;\u2003',
    'a;b=\u2003"q"', 'a;b="x\\\ny"',
]


def random_object(rng, names, policies=(0, 0, 1)):
    units = lambda: 500000 + rng.choice([0, 1, 2, 3, 10, 300, 100000, -1, -100000])
    data = units()
    created = ts(data)
    if rng.random() < .15:
        created = '%s_%x' % (created, rng.choice([1, 0xff]))
    args = {'name': rng.choice(names), 'at': created}
    if rng.random() < .3:
        args['at'] += '%+x' % rng.choice([0, 1, 10, -1, 100000])
        if rng.random() < .6:
            args['at'] += '%+x' % rng.choice([0, 2, -1, 100])
    if rng.random() < .25:
        args['ctype'] = ts(units(), rng.choice([0, 0, 0, 1]))
    if rng.random() < .25:
        args['meta'] = ts(units(), rng.choice([0, 0, 0, 1]))
    if rng.random() < .25:
        args.update(size=0, type='application/deleted', etag='noetag', deleted=1)
    else:
        args.update(size=rng.randrange(1000), type=rng.choice(TYPES),
                    etag='e%d' % rng.randrange(10000))
    args['policy'] = rng.choice(policies)
    return command('item', **args)


def gen_merge_objects(seed, scenarios):
    rng = random.Random(seed)
    lines = []
    for scenario in range(scenarios):
        lines += ['', '> container put="1" policy=%d' % rng.choice([0, 0, 1])]
        for batch in range(rng.randrange(1, 6)):
            for _ in range(rng.choice([1, 1, 2, 5, 12])):
                lines.append(random_object(rng, ['a', 'b', 'c']))
            lines.append('> merge')
        lines += ['> rows', '> info']
    return lines


def gen_puts(seed, scenarios):
    """Single puts: row numbers depend on when Swift merges its buffer, so only listings are asked."""
    rng = random.Random(seed)
    lines = []
    for scenario in range(scenarios):
        lines += ['', '> container put="1"']
        for _ in range(rng.randrange(1, 25)):
            item = random_object(rng, ['a', 'b', 'c/1', 'c/2', '\u2603'], policies=[0])
            # Two buffered records of the same times may win in another order.
            lines.append('> put' + item[len('> item'):])
            lines.append('> list')
    return lines


def random_container(rng, names):
    args = {'name': rng.choice(names)}
    stamp = lambda: rng.choice([ts(500000 + 100000 * rng.randrange(8)), ts(500000, 3)])
    args['put'] = stamp()
    args['delete'] = rng.choice(['0', '0', ts(0), stamp()])
    args['count'] = rng.choice([0, 0, 1, 7])
    args['bytes'] = args['count'] * 10
    args['deleted'] = rng.choice([0, 0, 0, 1])
    args['policy'] = rng.choice([0, 0, 1, 2])
    return command('item', **args)


def gen_merge_containers(seed, scenarios):
    rng = random.Random(seed)
    lines = []
    for scenario in range(scenarios):
        lines += ['', '> account put="1"']
        for batch in range(rng.randrange(1, 6)):
            for _ in range(rng.choice([1, 1, 2, 5])):
                lines.append(random_container(rng, ['a', 'b', 'c']))
            if rng.random() < .3:
                lines[-1:] = [lines[-1] + ' row=%d' % rng.randrange(1, 50), '> merge']
            else:
                lines.append('> merge')
        lines += ['> rows', '> info', '> list']
    return lines


def gen_lifecycle(seed, scenarios, is_account):
    rng = random.Random(seed)
    stamp = lambda: ts(100000 * rng.randrange(1, 9), rng.choice([0, 0, 0, 2]))
    lines = []
    for scenario in range(scenarios):
        lines.append('')
        if is_account:
            lines.append(command('account', put=stamp()))
        else:
            lines.append(command('container', put=stamp(), policy=rng.choice([0, 1])))
        for _ in range(rng.randrange(2, 9)):
            lines += lifecycle_step(rng, stamp, is_account)
            lines.append(command('info', age=rng.choice([ts(100000 * 5), ts(100000 * 100)])))
    return lines


def lifecycle_step(rng, stamp, is_account):
    step = rng.randrange(8)
    if step == 0:
        return [command('delete', at=stamp())]
    if step == 1:
        return [command('put_timestamp', at=stamp())]
    if step == 2:
        return [command('status_changed_at', at=stamp())]
    if step == 3:
        return [command('merge_timestamps', created=stamp(), put=stamp(),
                        delete=rng.choice(['0', stamp()]), now=ts(100000 * 20))]
    if step == 4:
        return [command('metadata', key=rng.choice(['K', 'k', 'X-Container-Sysmeta-Shard-Root']),
                        value=rng.choice(['', 'v', 'w']), at=stamp()), '> show_metadata']
    if step == 5 and not is_account:
        return [command('set_policy', index=rng.choice([0, 1, 2]), at=stamp())]
    if is_account:
        return [random_container(rng, ['a', 'b']), '> merge']
    return [random_object(rng, ['a', 'b'], policies=[0, 1]), '> merge']


def gen_replication(seed, scenarios):
    rng = random.Random(seed)
    lines = []
    for scenario in range(scenarios):
        is_account = scenario % 2 == 1
        lines += ['', '> account put="1"' if is_account else '> container put="1"']
        for _ in range(rng.randrange(3, 12)):
            lines += replication_step(rng, is_account)
        lines += ['> syncs', '> syncs outgoing', '> rows', '> info']
    return lines


def replication_step(rng, is_account):
    remote = rng.choice(['r1', 'r2', 'r3'])
    item = random_container(rng, ['a', 'b', 'c']) if is_account else \
        random_object(rng, ['a', 'b', 'c'])
    step = rng.randrange(6)
    if step == 0:
        return [command('sync', ['outgoing'] * rng.randrange(2), id=remote,
                        point=rng.randrange(-1, 50))]
    if step == 1:
        return [command('newid', remote=remote)]
    if step == 2:
        # Every sync point was merged just now: one age removes none of them, the other all.
        return [command('reclaim', age=ts(500000 + rng.choice([-1, 0, 1, 3, 100001])),
                        sync_age=rng.choice([ts(0), ts(999999999900000)]))]
    if step == 3:
        return [item, '> merge']
    items = [item + ' row=%d' % rng.randrange(1, 60)]
    if rng.random() < .5:
        items.append(items[0].replace('row=', 'row=1'))
    return items + [command('merge', source=remote)]


def generate():
    every = encodable(HOSTILE)
    return {
        'listing_names': gen_listing(1, 240, [], every),
        'listing_delimiters': gen_listing(2, 400, DELIMITERS, every),
        'listing_reserved': gen_listing(3, 120, ['\x00', '/', 'a'], RESERVED + ['a/b', 'b']),
        'listing_trees': gen_listing_random_trees(4, 480),
        'listing_paths': gen_paths(5, 200),
        'listing_rows': gen_rows(6),
        'listing_containers': gen_listing(7, 240, DELIMITERS, every, is_account=True),
        'merge_objects': gen_merge_objects(8, 120),
        'merge_puts': gen_puts(9, 15),
        'merge_containers': gen_merge_containers(10, 60),
        'lifecycle_accounts': gen_lifecycle(11, 40, True),
        'lifecycle_containers': gen_lifecycle(12, 40, False),
        'replication': gen_replication(13, 60),
    }


def main():
    if swift.__version__ != VERSION:
        sys.exit('this is Swift %s, goldens are of %s' % (swift.__version__, VERSION))
    check = '--check' in sys.argv[1:]
    scripts = {name: ['# generated by record_goldens.py'] + lines
               for name, lines in generate().items()}
    for name in sorted(os.listdir(SCRIPTS)):
        name = name[:-len('.txt')]
        if name not in scripts:
            with open(os.path.join(SCRIPTS, name + '.txt'), encoding='utf-8') as fp:
                scripts[name] = commands_of(fp.read())
    different = []
    for name, lines in sorted(scripts.items()):
        path = os.path.join(SCRIPTS, name + '.txt')
        recorded = record(lines)
        if check:
            with open(path, encoding='utf-8') as fp:
                if fp.read() != recorded:
                    different.append(name)
            continue
        with open(path, 'w', encoding='utf-8', newline='\n') as fp:
            fp.write(recorded)
        print('%s: %d commands' % (name, sum(line.startswith('> ') for line in lines)))
    if different:
        sys.exit('Swift answers otherwise: %s' % ', '.join(different))


if __name__ == '__main__':
    main()
