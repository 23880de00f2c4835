"""What the page reads aloud, and its voice calls. Instead of a loudspeaker there is a list of what was spoken.

Headless Chromium has no voices, so the page would say nothing: `LOUDSPEAKER` gives it one.
"""

import wave
from pathlib import Path
from typing import Final

from tests.e2e.page import ChatPage

LOUDSPEAKER: Final = """(() => {
    window.spoken = [];
    const voice = {voiceURI: "none", name: "none", lang: "en-US", default: true, localService: true};
    speechSynthesis.getVoices = () => [voice];
    speechSynthesis.speak = utterance => {
        window.spoken.push(utterance.text);
        setTimeout(() => utterance.dispatchEvent(new Event("end")), 10);
    };
})()"""
_VOICE_MODE: Final = 'button[aria-label="Voice mode"], button[aria-label="Call"]'
_READ_ALOUD: Final = 'button[aria-label="Read Aloud"]'
_RATE: Final = 16_000


def silence(path: Path) -> Path:
    """Write what the microphone hears: ten seconds of nothing."""
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        sound.writeframes(bytes(2 * 10 * _RATE))
    return path


async def read_aloud(chat: ChatPage) -> str:
    """What the button below the last answer speaks."""
    await chat.page.evaluate("window.spoken = []")
    await chat.page.locator(_READ_ALOUD).last.click()
    await chat.page.wait_for_function("window.spoken.length > 0")
    return await spoken(chat)


async def start_call(chat: ChatPage) -> None:
    """The conversation goes on as a voice call; questions can still be typed."""
    await chat.page.evaluate("window.spoken = []")
    await chat.page.locator(_VOICE_MODE).last.click()
    await chat.page.get_by_text("Listening...").or_(chat.page.get_by_text("Tap to")).first.wait_for()


async def spoken(chat: ChatPage) -> str:
    texts: list[str] = await chat.page.evaluate("window.spoken")
    return "\n".join(texts)
