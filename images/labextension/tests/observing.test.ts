import { expect, test } from 'vitest';
import { mayObserve } from '../src/commands';

test.each([
  'notebook:run-cell-and-select-next',
  'notebook:insert-cell-below',
  'notebook:delete-cell',
  'notebook:cut-cell',
  'notebook:paste-cell-below',
  'notebook:change-cell-to-markdown',
  'editmenu:undo',
  'runmenu:run',
  'kernelmenu:restart',
  'docmanager:save',
  'docmanager:rename',
  'filebrowser:delete',
  'fileeditor:cut',
  'fileeditor:paste',
  'console:create',
  'terminal:create-new'
])('an observer does nothing with %s', command => expect(mayObserve(command)).toBe(false));

test.each([
  'notebook:move-cursor-down',
  'notebook:copy-cell',
  'notebook:select-all',
  'filebrowser:open-path',
  'filebrowser:toggle-main',
  'docmanager:open',
  'application:activate-next-tab',
  'documentsearch:start'
])('an observer may use %s', command => expect(mayObserve(command)).toBe(true));
